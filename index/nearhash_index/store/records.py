"""The bytes of the registry's keys and values.

    entry key     bank number (4 bytes, big-endian) | entry id (UTF-8) | 0 | source (ASCII)
    entry value   number of hashes (1 byte) | per hash: type number (1 byte), hash | labels (UTF-8, joined by newlines)
    bank value    JSON
    change key    sequence (8 bytes, big-endian)
    change value  kind (1 byte) | entry key, or bank number

Entry keys sort by (bank, entry id, source): the order in which matches at one distance are reported. Neither entry
ids nor labels hold control characters.
"""

from __future__ import annotations

import json
import struct
from enum import IntEnum

from nearhash_index.entries import Bank, Entry, EntryKey, Hash
from nearhash_index.hash_types import HASH_TYPES

__all__ = [
    "ChangeKind",
    "decode_bank",
    "decode_entry",
    "encode_bank",
    "encode_entry_value",
    "encode_key",
    "pack_number",
    "pack_sequence",
]

_TYPES = {hash_type.number: hash_type for hash_type in HASH_TYPES.values()}


class ChangeKind(IntEnum):
    """What a record of the change log tells."""

    UPSERT = 1
    REMOVE = 2
    BANK = 3


def pack_number(number: int) -> bytes:
    """Pack a bank's number so that bytes sort like numbers."""
    return struct.pack(">I", number)


def pack_sequence(sequence: int) -> bytes:
    """Pack a sequence so that bytes sort like numbers."""
    return struct.pack(">Q", sequence)


def encode_key(bank_number: int, key: EntryKey) -> bytes:
    """Return an entry's key, at most 324 bytes."""
    return b"%b%b\0%b" % (pack_number(bank_number), key.entry_id.encode(), key.source.encode())


def encode_entry_value(entry: Entry) -> bytes:
    """Return an entry's value."""
    hashes = b"".join(b"%c%b" % (item.hash_type.number, item.value) for item in entry.hashes)
    return b"%c%b%b" % (len(entry.hashes), hashes, "\n".join(entry.labels).encode())


def decode_entry(key: bytes, value: bytes) -> Entry:
    """Return the entry of a key and its value."""
    entry_id, source = key[4:].split(b"\0")
    hashes = []
    at = 1
    for _ in range(value[0]):
        hash_type = _TYPES[value[at]]
        end = at + 1 + hash_type.size_bytes
        hashes.append(Hash(hash_type, value[at + 1 : end]))
        at = end
    labels = value[at:].decode()
    return Entry(
        EntryKey(entry_id.decode(), source.decode()), tuple(hashes), tuple(labels.split("\n")) if labels else ()
    )


def encode_bank(number: int, bank: Bank) -> bytes:
    """Return a bank's value."""
    content = {
        "number": number,
        "radii": dict(bank.radii),
        "enabled": bank.enabled,
        "labels": bank.labels,
        "entry_count": bank.entry_count,
    }
    return json.dumps(content, sort_keys=True).encode()


def decode_bank(name: bytes, value: bytes) -> tuple[int, Bank]:
    """Return a bank's number and the bank."""
    content = json.loads(value)
    bank = Bank(
        name.decode(),
        content["radii"],
        content["enabled"],
        tuple(content["labels"]),
        entry_count=content["entry_count"],
    )
    return content["number"], bank
