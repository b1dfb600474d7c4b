"""Lookups that are slow: digests at a radius that only brute force can answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nearhash.v1 import lookup_pb2
from nearhash_index import calibration
from nearhash_index.entries import Entry, EntryKey, Hash, radii_with_defaults
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import DataDirectory, Registry, publish
from nearhash_index.store.changes import Upsert
from nearhash_service.answering.lookup_service import MAX_BATCH

from .sample import AUTHOR

SHA256 = HASH_TYPES["sha256"]
RADIUS = 60
ENTRIES, HASHES_PER_ENTRY = 100_000, 4
RNG = np.random.default_rng(8)


def write_slow_list(path: Path) -> Path:
    """Publish a list of which a query takes some 60 us on a fast machine."""
    with Registry(DataDirectory.create(path)) as registry:
        registry.create_bank("bank", radii_with_defaults({"sha256": RADIUS}), author=AUTHOR)
        values = RNG.integers(0, 256, (ENTRIES, HASHES_PER_ENTRY, SHA256.size_bytes), dtype=np.uint8)
        changes = [
            Upsert(Entry(EntryKey(f"{i}", "local"), tuple(Hash(SHA256, value.tobytes()) for value in of_entry)))
            for i, of_entry in enumerate(values)
        ]
        registry.apply("bank", changes, AUTHOR)
    publish(path)
    return path


def slow_request(count: int) -> lookup_pb2.LookupRequest:
    return lookup_pb2.LookupRequest(hash_type=SHA256.number, hashes=RNG.bytes(32 * count))


def request_taking(seconds: float) -> lookup_pb2.LookupRequest:
    """Return a request of as many hashes as are expected to take that long here; at most about a second."""
    query_s = ENTRIES * HASHES_PER_ENTRY * calibration.brute_force_ns(SHA256.words, RADIUS) * 1e-9
    return slow_request(min(MAX_BATCH, max(1, round(seconds / query_s))))
