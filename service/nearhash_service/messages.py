"""Between wire messages and the engine's values."""

from __future__ import annotations

from collections.abc import Iterable

from nearhash.v1 import banks_pb2, lookup_pb2
from nearhash_index.entries import Bank, Entry, EntryKey, Hash
from nearhash_index.errors import InvalidInput
from nearhash_index.hash_types import HASH_TYPES, HashType, check_radius
from nearhash_index.store import Remove
from nearhash_index.store.generation import Manifest

__all__ = [
    "bank_message",
    "change_message",
    "change_of",
    "generation_message",
    "hash_type_number",
    "hash_type_of",
    "radii_messages",
    "radii_of",
]

_TYPES = {hash_type.number: hash_type for hash_type in HASH_TYPES.values()}


def hash_type_of(number: int, field: str) -> HashType:
    """Return the engine's hash type for the wire's; raise InvalidInput if it is unset or unknown."""
    hash_type = _TYPES.get(number)
    if hash_type is None:
        names = ", ".join(lookup_pb2.HashType.keys()[1:])
        raise InvalidInput(field, f"{number} is not a hash type; set one of {names}")
    return hash_type


def hash_type_number(name: str) -> lookup_pb2.HashType.ValueType:
    """Return the wire's hash type for the engine's name."""
    return lookup_pb2.HashType.ValueType(HASH_TYPES[name].number)


def radii_of(radii: Iterable[banks_pb2.Radius]) -> dict[str, int]:
    """Return radii by the name of their type; raise InvalidInput if one is wrong or a type is named twice."""
    found: dict[str, int] = {}
    for i, item in enumerate(radii):
        hash_type = hash_type_of(item.hash_type, f"radii[{i}].hash_type")
        if hash_type.name in found:
            raise InvalidInput(f"radii[{i}].hash_type", f"{hash_type.name} is named twice; name each hash type once")
        found[hash_type.name] = check_radius(hash_type, item.radius, f"radii[{i}].radius")
    return found


def radii_messages(radii: dict[str, int]) -> list[banks_pb2.Radius]:
    """Return messages for radii by the name of their type, in the order of the types' numbers."""
    return [
        banks_pb2.Radius(hash_type=hash_type_number(name), radius=radii[name]) for name in HASH_TYPES if name in radii
    ]


def bank_message(bank: Bank) -> banks_pb2.Bank:
    """Return the message for a bank."""
    return banks_pb2.Bank(
        name=bank.name,
        radii=radii_messages(dict(bank.radii)),
        enabled=bank.enabled,
        labels=bank.labels,
        entry_count=bank.entry_count,
    )


def change_of(change: banks_pb2.Change, field: str) -> Entry | Remove:
    """Return the change that a message asks for; raise InvalidInput if it asks for none."""
    match change.WhichOneof("change"):
        case "upsert":
            hashes = tuple(
                Hash(hash_type_of(item.hash_type, f"{field}.upsert.hashes[{k}].hash_type"), item.value)
                for k, item in enumerate(change.upsert.hashes)
            )
            return Entry(_key_of(change.upsert.key), hashes, tuple(change.upsert.labels))
        case "remove":
            return Remove(_key_of(change.remove))
        case _:
            raise InvalidInput(field, "empty; set upsert or remove")


def change_message(change: Entry | Remove) -> banks_pb2.Change:
    """Return the message for a change."""
    key = banks_pb2.EntryKey(source=change.key.source, entry_id=change.key.entry_id)
    if isinstance(change, Remove):
        return banks_pb2.Change(remove=key)
    hashes = [
        banks_pb2.Hash(hash_type=hash_type_number(item.hash_type.name), value=item.value) for item in change.hashes
    ]
    return banks_pb2.Change(upsert=banks_pb2.Entry(key=key, hashes=hashes, labels=change.labels))


def generation_message(manifest: Manifest, *, current: bool) -> banks_pb2.Generation:
    """Return the message for a generation."""
    message = banks_pb2.Generation(
        number=manifest.number,
        sequence=manifest.sequence,
        entry_count=manifest.entry_count,
        size_bytes=manifest.data_size_bytes,
        segments=[
            banks_pb2.SegmentInfo(hash_type=hash_type_number(name), hash_count=count)
            for name, count in manifest.hash_counts.items()
        ],
        current=current,
    )
    message.create_time.FromDatetime(manifest.create_time)
    return message


def _key_of(key: banks_pb2.EntryKey) -> EntryKey:
    return EntryKey(key.entry_id, key.source)
