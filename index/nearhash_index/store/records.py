"""The bytes of the registry's keys and values. Numbers are big-endian where bytes must sort like them, else little.

    entry key     bank number (4 bytes, big-endian) | entry id (UTF-8) | 0 | source (ASCII)
    entry value   state (1) | quality + 1, 0: none (1) | disabled until (4) | created (4) | updated (4)
                  | number of hashes (1) | stated (4) | per hash: type number + mark (1), hash
                  | labels (UTF-8, joined by newlines)
    bank value    JSON
    change key    sequence (8 bytes, big-endian)
    change value  kind (1 byte) | entry key, or bank number

Times are Unix times in seconds. `stated` is left out where the source states no time; STATED in the byte of the quality
tells that it is there. Entry keys sort by (bank, entry id, source): the order in which matches at one distance
are reported. Neither entry ids nor labels hold control characters.
"""

from __future__ import annotations

import json
import struct
from enum import IntEnum
from typing import NamedTuple

from nearhash_index.entries import Bank, Entry, EntryKey, EntryState, Hash
from nearhash_index.hash_types import HASH_TYPES

__all__ = [
    "HEADER",
    "QUARANTINED",
    "STATED",
    "STATED_SIZE_BYTES",
    "TIMES",
    "TYPE_BITS",
    "ChangeKind",
    "StoredEntry",
    "decode_bank",
    "decode_entry",
    "decode_key",
    "encode_bank",
    "encode_entry",
    "encode_key",
    "entry_id_prefix",
    "has_released",
    "pack_number",
    "pack_sequence",
    "replacing",
    "stated_time_s",
]

HEADER = struct.Struct("<BBIIIB")
"""Of an entry value: state, quality + 1, disabled until, created, updated, number of hashes."""
TIMES = slice(6, 14)
"""Where the times of creation and update lie in an entry value: what does not count when two are compared."""
STATED = 0x80
"""Mark of a quality: the time that the source stated follows the header."""
_STATED_TIME = struct.Struct("<I")
STATED_SIZE_BYTES = _STATED_TIME.size
QUARANTINED = 0x80
"""Mark of a hash that is kept aside."""
RELEASED = 0x40
"""Mark of a hash that was kept aside and is matched."""
TYPE_BITS = 0x0F
"""What is left for the type's number."""
_BANK_NUMBER = struct.Struct(">I")
_SEQUENCE = struct.Struct(">Q")
_TYPES = {hash_type.number: hash_type for hash_type in HASH_TYPES.values()}
_MARKED_SIZES_BYTES = {hash_type.number: 1 + hash_type.size_bytes for hash_type in HASH_TYPES.values()}


class ChangeKind(IntEnum):
    """What a record of the change log tells."""

    ENTRY = 1
    BANK = 2


class StoredEntry(NamedTuple):
    """An entry and what the registry knows about it. Times are Unix times in seconds.

    Attributes
    ----------
    entry : Entry
        Without hashes if it is withdrawn.
    state : EntryState
    disabled_until_s : int
        0 if it is disabled without an end, or not disabled.
    created_s, updated_s : int
    released : frozenset of Hash
        Those among the entry's hashes that were quarantined once.
    stated_s : int
        When the source stated the entry, or its withdrawal; 0 if it states no times, or somebody here has withdrawn it.
    """

    entry: Entry
    state: EntryState = EntryState.ACTIVE
    disabled_until_s: int = 0
    created_s: int = 0
    updated_s: int = 0
    released: frozenset[Hash] = frozenset()
    stated_s: int = 0

    def matches_at(self, now_s: float) -> bool:
        """Tell whether the entry is to be matched at that time."""
        return self.state == EntryState.ACTIVE or (
            self.state == EntryState.DISABLED and 0 < self.disabled_until_s <= now_s
        )


def pack_number(number: int) -> bytes:
    """Pack a bank's number so that bytes sort like numbers."""
    return _BANK_NUMBER.pack(number)


def pack_sequence(sequence: int) -> bytes:
    """Pack a sequence so that bytes sort like numbers."""
    return _SEQUENCE.pack(sequence)


def encode_key(bank_number: int, key: EntryKey) -> bytes:
    """Return an entry's key, at most 324 bytes."""
    return entry_id_prefix(bank_number, key.entry_id) + key.source.encode()


def entry_id_prefix(bank_number: int, entry_id: str) -> bytes:
    """Return what the keys of all entries of an id begin with, and no others."""
    return b"%b%b\0" % (_BANK_NUMBER.pack(bank_number), entry_id.encode())


def decode_key(key: bytes) -> tuple[int, EntryKey]:
    """Return the bank number and the entry's key."""
    entry_id, source = key[4:].split(b"\0")
    return _BANK_NUMBER.unpack_from(key)[0], EntryKey(entry_id.decode(), source.decode())


def encode_entry(stored: StoredEntry | tuple[Entry, EntryState, int, int, int, frozenset[Hash], int]) -> bytes:
    """Return an entry's value. A plain tuple spares imports an object per row."""
    entry, state, disabled_until_s, created_s, updated_s, released, stated_s = stored
    _, hashes, labels, quality, quarantined = entry
    header = HEADER.pack(
        state,
        (0 if quality is None else quality + 1) | (STATED if stated_s else 0),
        disabled_until_s,
        created_s,
        updated_s,
        len(hashes) + len(quarantined),
    )
    if stated_s:
        header += _STATED_TIME.pack(stated_s)
    if len(hashes) == 1 and not (labels or quarantined or released):
        # Nearly all entries of large lists.
        ((hash_type, value),) = hashes
        return b"%b%c%b" % (header, hash_type.number, value)
    marked = [b"%c%b" % (item[0].number | RELEASED if item in released else item[0].number, item[1]) for item in hashes]
    marked += [b"%c%b" % (hash_type.number | QUARANTINED, value) for hash_type, value in quarantined]
    return b"".join([header, *marked, "\n".join(labels).encode()])


def stated_time_s(value: bytes) -> int:
    """Return the time that the source stated, of an entry's value; 0 if there is none."""
    return int(_STATED_TIME.unpack_from(value, HEADER.size)[0]) if value[1] & STATED else 0


def has_released(value: bytes) -> bool:
    """Tell whether any of the hashes of an entry's value was released from quarantine."""
    at = HEADER.size + (STATED_SIZE_BYTES if value[1] & STATED else 0)
    for _ in range(value[HEADER.size - 1]):
        if value[at] & RELEASED:
            return True
        at += _MARKED_SIZES_BYTES[value[at] & TYPE_BITS]
    return False


def replacing(known: bytes, value: bytes) -> bytes:
    """Return an entry's new value with what stays of its known one: state, until when, and since when it is there."""
    return b"%b%b%b%b" % (known[:1], value[1:2], known[2:10], value[10:])


def decode_entry(key: bytes, value: bytes) -> StoredEntry:
    """Return the entry of a key and its value."""
    state, quality, disabled_until_s, created_s, updated_s, count = HEADER.unpack_from(value)
    by_mark: dict[int, list[Hash]] = {0: [], RELEASED: [], QUARANTINED: []}
    stated_s = stated_time_s(value)
    quality &= ~STATED
    at = HEADER.size + (STATED_SIZE_BYTES if stated_s else 0)
    for _ in range(count):
        hash_type = _TYPES[value[at] & TYPE_BITS]
        end = at + 1 + hash_type.size_bytes
        by_mark[value[at] & ~TYPE_BITS].append(Hash(hash_type, value[at + 1 : end]))
        at = end
    labels = value[at:].decode()
    entry = Entry(
        decode_key(key)[1],
        tuple(by_mark[0] + by_mark[RELEASED]),
        tuple(labels.split("\n")) if labels else (),
        quality - 1 if quality else None,
        tuple(by_mark[QUARANTINED]),
    )
    released = frozenset(by_mark[RELEASED])
    return StoredEntry(entry, EntryState(state), disabled_until_s, created_s, updated_s, released, stated_s)


def encode_bank(number: int, bank: Bank) -> bytes:
    """Return a bank's value."""
    content = bank._asdict() | {"number": number, "radii": dict(bank.radii)}
    del content["name"]
    return json.dumps(content, sort_keys=True).encode()


def decode_bank(name: bytes, value: bytes) -> tuple[int, Bank]:
    """Return a bank's number and the bank."""
    content = json.loads(value)
    number = content.pop("number")
    return number, Bank(name.decode(), **content | {"labels": tuple(content["labels"])})
