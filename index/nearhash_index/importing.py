"""Importing a list: its items become changes, applied in chunks, and everything else is reported."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias, TypeVar

import numpy as np
import xxhash

from nearhash_index.entries import EntryKey, EntryState
from nearhash_index.errors import InvalidInput
from nearhash_index.formats import Item, Quarantined, Rejected, Removal, Skipped, Upsert
from nearhash_index.store import changes
from nearhash_index.store.changes import Change, ChangeCounts
from nearhash_index.store.snapshot import RegistrySnapshot

__all__ = ["Absent", "ImportReport", "find_absent", "import_items", "refuse_rejects"]

_CHUNK = 100_000
"""Changes of one transaction: each costs a wait for the disk, and about a kilobyte of memory per change."""
_SHOWN = 1000

T = TypeVar("T")
Apply: TypeAlias = Callable[[list[Change]], ChangeCounts]


@dataclass
class ImportReport:
    """What an import did, or would do.

    Attributes
    ----------
    counts : Counter
        By the outcomes of changes, and "quarantined", "rejected".
    older : list of str
        The first 1,000 places of records that are older than what is known of their entries: they change nothing.
    rejected : list of Rejected
        The first 1,000, with places and reasons.
    quarantined : list of Quarantined
        The first 1,000.
    skipped : Counter
        What was well formed and is not imported, by kind.
    keys : list of uint64 arrays
        Fingerprints of the keys that the list brought.
    """

    counts: Counter[str] = field(default_factory=Counter)
    older: list[str] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    keys: list[np.typing.NDArray[np.uint64]] = field(default_factory=list)


def import_items(
    items: Iterable[Item], apply: Apply, advance: Callable[[int], object], *, remember_keys: bool = True
) -> ImportReport:
    """Apply what a list says, a chunk at a time; each chunk whole or not at all.

    Parameters
    ----------
    apply : callable
        Applies changes, durably when it returns.
    advance : callable
        Told the number of changes of each chunk that was applied.
    remember_keys : bool
        Whether the report shall have the keys' fingerprints, for `find_absent`.
    """
    report = ImportReport()
    found = _changing(items, report)
    with _without_cycle_collector():
        while chunk := list(islice(found, _CHUNK)):
            done = apply([_change_of(item) for item in chunk])
            report.counts.update(done.by_outcome())
            report.older += [chunk[position].place for position in done.older[: _SHOWN - len(report.older)]]
            if remember_keys:
                report.keys.append(np.array([_fingerprint(item.key) for item in chunk], dtype=np.uint64))
            advance(len(chunk))
    return report


@contextmanager
def _without_cycle_collector() -> Iterator[None]:
    """Spare Python the search for cycles among millions of tuples, which have none: it takes half the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def refuse_rejects(items: Iterable[Item]) -> None:
    """Raise InvalidInput at the first thing that is malformed."""
    for item in items:
        if isinstance(item, Rejected):
            raise InvalidInput(item.place, item.reason)


@dataclass(frozen=True, slots=True)
class Absent:
    """Entries of the sources that a whole list speaks for, which it does not bring.

    Attributes
    ----------
    keys : list of EntryKey
    share : float
        Of those sources' entries, 0 to 1.
    """

    keys: list[EntryKey]
    share: float


def find_absent(snapshot: RegistrySnapshot, bank: str, source: str, report: ImportReport) -> Absent:
    """Find the entries of a source that a list, which was imported, does not bring. O(entries of the bank).

    What is withdrawn is gone already, and no absence.
    Two keys of one fingerprint would make this miss an absent entry, never take a present one for absent.
    """
    brought = np.unique(np.concatenate([np.empty(0, dtype=np.uint64), *report.keys]))
    known = [
        stored.entry.key
        for stored in snapshot.entries(bank)
        if stored.entry.key.source == source and stored.state != EntryState.WITHDRAWN
    ]
    fingerprints = np.array([_fingerprint(key) for key in known], dtype=np.uint64)
    absent = np.flatnonzero(~np.isin(fingerprints, brought))
    return Absent([known[i] for i in absent], len(absent) / max(1, len(known)))


def _changing(items: Iterable[Item], report: ImportReport) -> Iterator[Upsert | Removal]:
    """Yield the items that change something; count and keep the others."""
    for item in items:
        match item:
            case Upsert() | Removal():
                yield item
            case Quarantined():
                _note(report, "quarantined", report.quarantined, item)
            case Rejected():
                _note(report, "rejected", report.rejected, item)
            case Skipped(_, what):
                report.skipped[what] += 1


def _change_of(item: Upsert | Removal) -> Change:
    if isinstance(item, Upsert):
        return changes.Upsert(item.entry, item.stated_s)
    return changes.Withdraw(item.key, item.stated_s) if item.withdrawn else changes.Remove(item.key)


def _note(report: ImportReport, outcome: str, kept: list[T], item: T) -> None:
    report.counts[outcome] += 1
    if len(kept) < _SHOWN:
        kept.append(item)


def _fingerprint(key: EntryKey) -> int:
    return xxhash.xxh3_64_intdigest(f"{key.source}\0{key.entry_id}".encode())
