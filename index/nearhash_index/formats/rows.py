"""From the rows of text lists to items: consecutive rows that name one entry make one entry."""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import TypeAlias

from nearhash_index.codes import hex_to_hash
from nearhash_index.entries import (
    HASHER_LABEL,
    Entry,
    EntryKey,
    Hash,
    check_entry,
    check_key,
    check_labels,
    check_name,
)
from nearhash_index.errors import InvalidInput
from nearhash_index.formats.items import (
    NOT_COMPARED,
    Item,
    Quarantined,
    Rejected,
    Removal,
    Skipped,
    Upsert,
    without_hashes,
)
from nearhash_index.formats.options import ListOptions
from nearhash_index.formats.quarantine import low_quality_reason
from nearhash_index.hash_types import HashType, hash_type_named

__all__ = ["FIELDS", "Row", "items_of"]

FIELDS = ("hash", "hash_type", "entry_id", "source", "labels", "quality", "action", "hasher")

Row: TypeAlias = tuple[str, ...]
"""A place, then the text of each of FIELDS, empty where it is missing. A plain tuple, for speed."""

_DEFAULT_SOURCE = "local"
_SHORT_ID = 63
"""An id of so many characters cannot have too many bytes."""


class _NotCompared(Exception):
    """A row of a type of NOT_COMPARED."""


def items_of(rows: Iterable[Row | Rejected], options: ListOptions) -> Iterator[Item]:  # noqa: PLR0912 - one hot loop
    """Yield the items of a list's rows. A row without an entry id is an entry whose id is its hash.

    A row that is malformed is rejected alone, though other rows may name its entry. This is the import's hot loop:
    it looks up what it parsed before, and calls a check only where a quick test does not already settle it.
    """
    parsed_type = _type_parser(options.hash_type)
    default_source = options.source or _DEFAULT_SOURCE
    pending: Upsert | Removal | None = None  # what the rows before make, which this row may belong to
    last_id = last_source = ""
    for row in rows:
        if isinstance(row, Rejected):
            yield row
            continue
        place, digits, type_name, entry_id, source, labels_text, quality, action, hasher = row
        try:
            removed = _parsed_action(action) if action else False
            entry_id = entry_id.strip()
            if not (removed and entry_id):
                hash_type, size_bytes = parsed_type(type_name)
                item = Hash(hash_type, _parsed_hash(digits, hash_type, size_bytes))
                entry_id = entry_id or item.value.hex()
            if len(entry_id) > _SHORT_ID or not entry_id.isprintable():
                check_key(EntryKey(_utf8(entry_id, "entry_id"), _DEFAULT_SOURCE))
            source = _parsed_source(source) if source else default_source
            labels = _parsed_labels(labels_text) if labels_text and not removed else ()
            if hasher and not removed:
                labels += _parsed_hasher(hasher)
            low = quality and not removed and low_quality_reason(item, _parsed_quality(quality), options.min_quality)
            if pending is not None and entry_id == last_id and source == last_source:
                if removed is not isinstance(pending, Removal):
                    raise InvalidInput("action", "the rows before do the opposite with this entry")
                if isinstance(pending, Upsert):
                    pending = Upsert(pending.place, _merged(pending.entry, item, labels, low=bool(low)))
                if low:
                    yield Quarantined(place, pending.key, item, low)
                continue
        except _NotCompared as error:
            yield Skipped(place, f"{error} fingerprint")
            continue
        except InvalidInput as error:
            yield Rejected(place, without_hashes(str(error)))
            continue
        if pending is not None:
            yield pending
        last_id, last_source = entry_id, source
        key = EntryKey(entry_id, source)
        if low:
            yield Quarantined(place, key, item, low)
            pending = Upsert(place, Entry(key, (), labels, quarantined=(item,)))
        else:
            pending = Removal(place, key, withdrawn=False) if removed else Upsert(place, Entry(key, (item,), labels))
    if pending is not None:
        yield pending


def _merged(entry: Entry, item: Hash, labels: tuple[str, ...], *, low: bool) -> Entry:
    """Return the entry with another hash, kept aside if its quality is low."""
    hashes = entry.hashes if low else (*entry.hashes, item)
    quarantined = (*entry.quarantined, item) if low else entry.quarantined
    return check_entry(Entry(entry.key, hashes, entry.labels + labels, quarantined=quarantined))


def _type_parser(default: HashType | None) -> Callable[[str], tuple[HashType, int]]:
    """Return a function from a type's name to the type and its size in bytes."""

    @lru_cache(maxsize=64)
    def parsed(text: str) -> tuple[HashType, int]:
        name = text.strip().lower()
        if name in NOT_COMPARED:
            raise _NotCompared(name)
        hash_type = hash_type_named(name) if name else default
        if hash_type is None:
            raise InvalidInput("hash_type", "missing; fill it in, or give a hash type for the whole list")
        return hash_type, hash_type.size_bytes

    return parsed


def _parsed_hash(digits: str, hash_type: HashType, size_bytes: int) -> bytes:
    try:
        value = unhexlify(digits)
    except ValueError:
        value = b""
    return value if len(value) == size_bytes else hex_to_hash(digits.strip(), hash_type)


def _utf8(text: str, field: str) -> str:
    """Return the text if it has no lone surrogates, which stand for bytes that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(field, "not UTF-8 text") from None
    return text


@lru_cache(maxsize=1024)
def _parsed_source(text: str) -> str:
    return check_name(text.strip(), "source")


@lru_cache(maxsize=1024)
def _parsed_labels(text: str) -> tuple[str, ...]:
    return check_labels([label.strip() for label in _utf8(text, "labels").split(";") if label.strip()])


@lru_cache(maxsize=1024)
def _parsed_hasher(text: str) -> tuple[str, ...]:
    hasher = _utf8(text, "hasher").strip()
    return check_labels([HASHER_LABEL + hasher], "hasher") if hasher else ()


@lru_cache(maxsize=1024)
def _parsed_quality(text: str) -> int:
    digits = text.strip()
    if not (digits.isascii() and digits.isdecimal() and int(digits[:4]) <= 100):
        raise InvalidInput("quality", "not a whole number from 0 to 100")
    return int(digits)


@lru_cache(maxsize=64)
def _parsed_action(text: str) -> bool:
    """Tell whether to remove the entry."""
    action = text.strip().lower()
    if action not in ("", "upsert", "remove"):
        raise InvalidInput("action", "neither 'upsert' nor 'remove'")
    return action == "remove"
