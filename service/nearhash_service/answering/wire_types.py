"""Hash types: the wire's numbers, the engine's types, and the names that options and lists use."""

from __future__ import annotations

from nearhash.v1 import lookup_pb2
from nearhash_index.errors import InvalidInput
from nearhash_index.hash_types import HASH_TYPES, HashType

__all__ = ["hash_type_number", "hash_type_of", "type_name"]

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


def type_name(number: lookup_pb2.HashType.ValueType) -> str:
    """Return the engine's name for the wire's hash type."""
    return lookup_pb2.HashType.Name(number).removeprefix("HASH_TYPE_").lower()
