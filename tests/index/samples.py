"""Hashes and entries to fill registries with."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from nearhash_index.entries import Entry, EntryKey, Hash
from nearhash_index.hash_types import HASH_TYPES, HashType
from nearhash_index.store.changes import Author, Upsert

AUTHOR = Author("a tester", "because")
PHASH64 = HASH_TYPES["phash64"]
PDQ256 = HASH_TYPES["pdq256"]
MD5 = HASH_TYPES["md5"]
PERCEPTUAL = [hash_type for hash_type in HASH_TYPES.values() if hash_type.perceptual]
DIGESTS = [hash_type for hash_type in HASH_TYPES.values() if not hash_type.perceptual]


def random_hash(rng: np.random.Generator, hash_type: HashType = PHASH64) -> Hash:
    """Return a hash that, but for a chance of 1e-13, is not degenerate."""
    return Hash(hash_type, rng.bytes(hash_type.size_bytes))


def flipped(item: Hash, bits: Iterable[int]) -> Hash:
    """Flip the bits at these different positions, so that the distance is their number."""
    number = int.from_bytes(item.value)
    for bit in bits:
        number ^= 1 << bit
    return Hash(item.hash_type, number.to_bytes(item.hash_type.size_bytes))


def near(rng: np.random.Generator, item: Hash, distance: int) -> Hash:
    """Flip that many random bits."""
    return flipped(item, rng.choice(item.hash_type.bits, distance, replace=False).tolist())


def entry(entry_id: str, *hashes: Hash, source: str = "local", labels: tuple[str, ...] = ()) -> Entry:
    return Entry(EntryKey(entry_id, source), hashes, labels)


def random_entries(count: int, seed: int = 1, source: str = "local") -> list[Entry]:
    rng = np.random.default_rng(seed)
    return [entry(f"{source}-{i:06}", random_hash(rng), source=source) for i in range(count)]


def upserts(entries: Iterable[Entry]) -> list[Upsert]:
    return [Upsert(each) for each in entries]
