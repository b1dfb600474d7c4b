"""Comparing computed hashes."""

from nearhash_client.hashing import ComputedHash


def distance(first: ComputedHash, second: ComputedHash) -> int:
    return (int.from_bytes(first.value) ^ int.from_bytes(second.value)).bit_count()
