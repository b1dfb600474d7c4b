"""Banks with entries of every hash type, what they must answer, and how to put them into a data directory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nearhash.v1 import lookup_pb2
from nearhash_index import reference
from nearhash_index.codes import codes_from_bytes
from nearhash_index.entries import Bank, Entry, EntryKey, Hash, radii_with_defaults
from nearhash_index.hash_types import HASH_TYPES, HashType
from nearhash_index.store import DataDirectory, Registry, publish
from nearhash_index.store.changes import Author, Upsert

NARROW, WIDE, DISABLED, EMPTY = "narrow", "wide", "disabled", "empty"
WIDE_RADII = {"phash64": 12, "dhash64": 10, "ahash64": 6, "whash64": 5, "pdq256": 40, "md5": 3, "sha1": 2, "sha256": 1}
ENTRIES_PER_TYPE = 240
AUTHOR = Author("the sample")

Row = tuple[int, int, str, str, str, tuple[str, ...]]
"""A match: query, distance, bank, entry id, source, labels."""


@dataclass(frozen=True)
class Sample:
    """Banks and their entries."""

    banks: tuple[Bank, ...]
    entries: dict[str, tuple[Entry, ...]]

    def hashes(self, hash_type: HashType, bank: str | None = None) -> list[bytes]:
        """Return the hashes of a type, of all banks or of one."""
        return [
            item.value
            for name, entries in self.entries.items()
            if bank in (None, name)
            for entry in entries
            for item in entry.hashes
            if item.hash_type == hash_type
        ]

    def expected(
        self,
        hash_type: HashType,
        queries: Sequence[bytes],
        *,
        radius: int | None = None,
        banks: Sequence[str] = (),
    ) -> list[Row]:
        """Return what a lookup must answer, found by comparing with every entry."""
        rows: list[Row] = []
        packed = codes_from_bytes(b"".join(queries), hash_type)
        for bank in self.banks:
            if not bank.enabled or (banks and bank.name not in banks):
                continue
            reach = bank.radii[hash_type.name] if radius is None else min(radius, bank.radii[hash_type.name])
            owners = [
                (entry, item.value)
                for entry in self.entries.get(bank.name, ())
                for item in entry.hashes
                if item.hash_type == hash_type
            ]
            if not owners:
                continue
            codes = codes_from_bytes(b"".join(value for _, value in owners), hash_type)
            found = reference.search(codes, packed, reach)
            nearest: dict[tuple[int, EntryKey], Row] = {}
            for query, row, distance in zip(found.query, found.row, found.distance, strict=True):
                entry = owners[row][0]
                key = entry.key
                match = (int(query), int(distance), bank.name, key.entry_id, key.source, entry.labels)
                nearest[match[0], key] = min(match, nearest.get((match[0], key), match))
            rows += nearest.values()
        return sorted(rows)


def rows_of(response: lookup_pb2.LookupResponse) -> list[Row]:
    """Return the matches of an answer."""
    return [(m.query, m.distance, m.bank, m.entry_id, m.source, tuple(m.labels)) for m in response.matches]


def flipped(rng: np.random.Generator, value: bytes, distance: int) -> bytes:
    """Flip so many different random bits."""
    number = int.from_bytes(value)
    for bit in rng.choice(len(value) * 8, distance, replace=False).tolist():
        number ^= 1 << bit
    return number.to_bytes(len(value))


def make_sample(seed: int = 1, per_type: int = ENTRIES_PER_TYPE) -> Sample:
    """Return three banks with entries near each other, and an empty one."""
    rng = np.random.default_rng(seed)
    entries: dict[str, list[Entry]] = {NARROW: [], WIDE: [], DISABLED: [], EMPTY: []}
    for hash_type in HASH_TYPES.values():
        for i in range(per_type):
            value = rng.bytes(hash_type.size_bytes)
            bank = (NARROW, WIDE)[i % 2]
            source, labels = (("ncmec", ("csam", "münchen")), ("local", ()))[i % 3 == 0]
            name = f"{hash_type.name}-{i:04}"
            entries[bank].append(_entry(name, [Hash(hash_type, value)], source, labels))
            if i % 10 == 0:
                # The same image asserted elsewhere too, by another source, and by a near copy.
                near = flipped(rng, value, int(rng.integers(0, 3)))
                entries[WIDE].append(_entry(f"copy [/{name}]", [Hash(hash_type, near)], "stopncii"))
                entries[DISABLED].append(_entry(name, [Hash(hash_type, value)]))
                entries[NARROW].append(_entry(name, [Hash(hash_type, value)], "another"))
    pairs = [(a, b) for a in ("phash64", "pdq256") for b in ("phash64", "md5")]
    for i, (first, second) in enumerate(pairs * 10):
        a, b = HASH_TYPES[first], HASH_TYPES[second]
        hashes = [Hash(a, rng.bytes(a.size_bytes)), Hash(b, rng.bytes(b.size_bytes))]
        entries[NARROW].append(_entry(f"several-{i:03}", hashes, labels=("x",)))
    radii = {NARROW: radii_with_defaults({}), WIDE: WIDE_RADII, DISABLED: WIDE_RADII, EMPTY: radii_with_defaults({})}
    banks = tuple(
        Bank(name, radii[name], enabled=name != DISABLED, entry_count=len(entries[name])) for name in sorted(entries)
    )
    return Sample(banks, {name: tuple(of_bank) for name, of_bank in entries.items()})


def without(sample: Sample, bank: str, removed: Iterable[EntryKey]) -> Sample:
    """Return the sample without some entries of a bank."""
    gone = set(removed)
    kept = tuple(entry for entry in sample.entries[bank] if entry.key not in gone)
    return replace(sample, entries={**sample.entries, bank: kept})


def write_sample(path: Path, sample: Sample) -> DataDirectory:
    """Make a data directory with the sample published as generation 1."""
    directory = DataDirectory.create(path)
    with Registry(directory) as registry:
        for bank in sample.banks:
            registry.create_bank(bank.name, dict(bank.radii), author=AUTHOR)
            if sample.entries[bank.name]:
                registry.apply(bank.name, list(map(Upsert, sample.entries[bank.name])), AUTHOR)
            if not bank.enabled:
                registry.update_bank(bank.name, {}, enabled=False, author=AUTHOR)
    publish(path)
    return directory


def _entry(entry_id: str, hashes: list[Hash], source: str = "local", labels: tuple[str, ...] = ()) -> Entry:
    return Entry(EntryKey(entry_id, source), tuple(hashes), labels)
