"""Lookups that are slow: digests at a radius that only brute force can answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nearhash.v1 import lookup_pb2
from nearhash_index.entries import Entry, EntryKey, Hash, radii_with_defaults
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import DataDirectory, Registry, publish
from nearhash_index.store.changes import Upsert

from .sample import AUTHOR

SHA256 = HASH_TYPES["sha256"]
RADIUS = 60
RNG = np.random.default_rng(8)


def write_slow_list(path: Path, entries: int = 100_000) -> Path:
    """Publish a list of which a query takes some 60 us."""
    with Registry(DataDirectory.create(path)) as registry:
        registry.create_bank("bank", radii_with_defaults({"sha256": RADIUS}), author=AUTHOR)
        values = [RNG.bytes(32) for _ in range(entries)]
        changes = [Upsert(Entry(EntryKey(f"{i}", "local"), (Hash(SHA256, value),))) for i, value in enumerate(values)]
        registry.apply("bank", changes, AUTHOR)
    publish(path)
    return path


def slow_request(count: int) -> lookup_pb2.LookupRequest:
    return lookup_pb2.LookupRequest(hash_type=SHA256.number, hashes=RNG.bytes(32 * count))
