"""Entries, what a source asserts, and the rules that each must keep to be accepted."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from enum import IntEnum
from typing import NamedTuple

from nearhash_index.codes import codes_from_bytes
from nearhash_index.degenerate import degenerate_reason, degenerate_rows
from nearhash_index.errors import InvalidInput
from nearhash_index.hash_types import HASH_TYPES, HashType, check_radius, hash_type_named

__all__ = [
    "HASHER_LABEL",
    "Bank",
    "Entry",
    "EntryKey",
    "EntryState",
    "Hash",
    "check_degenerate",
    "check_entry",
    "check_entry_id",
    "check_key",
    "check_labels",
    "check_name",
    "radii_with_defaults",
]

HASHER_LABEL = "hasher="
"""What a label begins with that tells what computed an entry's hashes, with version: a decoder changes hashes, too."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""Surrogates are no characters, and have no UTF-8."""
_MAX_ENTRY_ID_BYTES = 255
_MAX_LABELS = 32
_MAX_LABEL_CHARACTERS = 64
_MAX_HASHES = 255
"""As many as a record counts with one byte; a video is listed by its frames."""


class Bank(NamedTuple):
    """A curated collection of entries.

    Attributes
    ----------
    name : str
    radii : mapping from the name of each hash type to the bank's radius for it, inclusive, in bits
    enabled : bool
        Whether lookups search it.
    labels : tuple of str
    entry_count : int
    allowlist : bool
        Whether a match in it suppresses the matches of other banks.
    """

    name: str
    radii: Mapping[str, int]
    enabled: bool = True
    labels: tuple[str, ...] = ()
    entry_count: int = 0
    allowlist: bool = False


class EntryKey(NamedTuple):
    """Names an entry within its bank. Keys sort by entry id, then source."""

    entry_id: str
    source: str


class Hash(NamedTuple):
    """A hash as a value: most significant byte first, of its type's width."""

    hash_type: HashType
    value: bytes


class Entry(NamedTuple):
    """What a source asserts about one image or video.

    Attributes
    ----------
    key : EntryKey
    hashes : tuple of Hash
    labels : tuple of str
    quality : int, optional
        Of its PDQ hash, 0 to 100.
    quarantined : tuple of Hash
        Kept aside because they would match too much: degenerate, or of low quality.
    """

    key: EntryKey
    hashes: tuple[Hash, ...]
    labels: tuple[str, ...] = ()
    quality: int | None = None
    quarantined: tuple[Hash, ...] = ()


class EntryState(IntEnum):
    """Whether an entry is matched."""

    ACTIVE = 1
    DISABLED = 2
    """Not matched until a time, or until it is enabled."""
    WITHDRAWN = 3
    """Never matched, whatever is served, until it is reinstated. Its hashes are forgotten."""


def check_name(name: str, field: str) -> str:
    """Return the name of a bank or source if it is well formed, or raise InvalidInput."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            field, f"{name[:80]!r} is no name; use 1 to 64 letters, digits, '-', '_' or '.', a letter or digit first"
        )
    return name


def check_key(key: EntryKey, field: str = "key") -> EntryKey:
    """Return the key if it is well formed, or raise InvalidInput."""
    check_name(key.source, f"{field}.source")
    check_entry_id(key.entry_id, f"{field}.entry_id")
    return key


def check_entry_id(entry_id: str, field: str = "entry_id") -> str:
    """Return the id if it is well formed, or raise InvalidInput."""
    if _CONTROL.search(entry_id):
        raise InvalidInput(field, "holds control characters; use printable text")
    size_bytes = len(entry_id.encode())
    if not 1 <= size_bytes <= _MAX_ENTRY_ID_BYTES:
        raise InvalidInput(field, f"{size_bytes} bytes of UTF-8; use 1 to {_MAX_ENTRY_ID_BYTES}")
    return entry_id


def check_labels(labels: Collection[str], field: str = "labels") -> tuple[str, ...]:
    """Return the labels without repetitions if they are well formed, or raise InvalidInput."""
    if len(labels) > _MAX_LABELS:
        raise InvalidInput(field, f"{len(labels)} labels; use at most {_MAX_LABELS}")
    for label in labels:
        if not 1 <= len(label) <= _MAX_LABEL_CHARACTERS or _CONTROL.search(label) or ";" in label:
            raise InvalidInput(
                field, f"{label[:80]!r} is no label; use 1 to {_MAX_LABEL_CHARACTERS} printable characters without ';'"
            )
    return tuple(dict.fromkeys(labels))


def check_entry(entry: Entry, field: str = "entry") -> Entry:
    """Return the entry, its labels and hashes without repetitions, if it is well formed, or raise InvalidInput.

    Whether hashes are degenerate is checked apart, by `check_degenerate`, many at once.
    """
    count = len(entry.hashes) + len(entry.quarantined)
    if not 1 <= count <= _MAX_HASHES:
        raise InvalidInput(f"{field}.hashes", f"{count} hashes; use 1 to {_MAX_HASHES}")
    return Entry(
        check_key(entry.key, f"{field}.key"),
        _check_hashes(entry.hashes, f"{field}.hashes"),
        check_labels(entry.labels, f"{field}.labels"),
        _check_quality(entry.quality, f"{field}.quality"),
        _check_hashes(entry.quarantined, f"{field}.quarantined"),
    )


def _check_hashes(hashes: tuple[Hash, ...], field: str) -> tuple[Hash, ...]:
    for i, (hash_type, value) in enumerate(hashes):
        if len(value) != hash_type.size_bytes:
            raise InvalidInput(
                f"{field}[{i}].value",
                f"{len(value)} bytes; a {hash_type.name} hash has {hash_type.size_bytes}",
            )
    return tuple(dict.fromkeys(hashes)) if len(hashes) > 1 else hashes


def _check_quality(quality: int | None, field: str) -> int | None:
    if quality is not None and not 0 <= quality <= 100:
        raise InvalidInput(field, f"{quality} is out of range; use 0 to 100")
    return quality


def check_degenerate(hashes: Iterable[tuple[str, Hash]]) -> None:
    """Raise InvalidInput for the first degenerate hash; each comes with the field to name. O(hashes)."""
    fields: dict[HashType, list[str]] = {}
    values: dict[HashType, list[bytes]] = {}
    for field, item in hashes:
        fields.setdefault(item.hash_type, []).append(field)
        values.setdefault(item.hash_type, []).append(item.value)
    for hash_type, of_type in values.items():
        rows = degenerate_rows(codes_from_bytes(b"".join(of_type), hash_type), hash_type)
        if len(rows):
            raise InvalidInput(fields[hash_type][rows[0]], degenerate_reason(hash_type))


def radii_with_defaults(radii: Mapping[str, int], defaults: Mapping[str, int] | None = None) -> dict[str, int]:
    """Return a radius for every hash type: the given one, or else the default one; raise InvalidInput if one is wrong.

    Parameters
    ----------
    defaults : mapping, optional
        Of every type; without it, each type's own default.
    """
    for name, radius in radii.items():
        check_radius(hash_type_named(name, "radii.hash_type"), radius, f"radii[{name}]")
    return {name: t.default_radius for name, t in HASH_TYPES.items()} | dict(defaults or {}) | dict(radii)
