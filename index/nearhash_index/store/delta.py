"""What has changed since a generation: found by following the registry's change log, and searched beside it.

Additions are searched by brute force: 100,000 codes cost microseconds. Removals are tombstones, tested on matches only.
So a change is matched, or no longer matched, as soon as a worker has read the log, at any size of the generation.

A generation that is pinned by a roll back is served as it was, but for one thing: what has been withdrawn or disabled
since does not match. A withdrawn hash must not come back by going back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nearhash_index.codes import codes_from_bytes
from nearhash_index.entries import Bank, Entry, EntryState
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.planes import Planes, planes_of
from nearhash_index.store.generation import Generation
from nearhash_index.store.records import StoredEntry, decode_key
from nearhash_index.store.snapshot import RegistrySnapshot

__all__ = ["MAX_ADDITIONS", "Delta", "DeltaFollower", "DeltaSegment"]

MAX_ADDITIONS = 100_000
"""Additions beyond these wait for the next generation; removals never wait."""


@dataclass(frozen=True, slots=True)
class DeltaSegment:
    """The added codes of one hash type.

    Attributes
    ----------
    planes : Planes
    entry : int64[n]
        Position in the delta's entries.
    """

    planes: Planes
    entry: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Delta:
    """Immutable difference between a generation and the registry at a later sequence.

    Attributes
    ----------
    sequence : int
        Every change up to it is in generation and delta together.
    banks : tuple of Bank, by name
        As they are now.
    tombstones : int64[k]
        Rows of the generation's entries that do not match; ascending.
    entries : tuple of (bank name, Entry)
        Additions, by (bank, entry id, source).
    segments : mapping from the name of each hash type
    """

    sequence: int
    banks: tuple[Bank, ...]
    tombstones: NDArray[np.int64]
    entries: tuple[tuple[str, Entry], ...]
    segments: Mapping[str, DeltaSegment]


class DeltaFollower:
    """Reads the change log after one generation. To be used by one thread.

    Parameters
    ----------
    generation : Generation
    pinned : bool
        Whether it is served because of a roll back.
    """

    def __init__(self, generation: Generation, *, pinned: bool) -> None:
        self._generation = generation
        self._pinned = pinned
        self._changed: dict[bytes, StoredEntry | None] = {}
        self._rows: dict[bytes, int | None] = {}
        self._tombstones: dict[bytes, int] = {}
        self._additions: dict[bytes, tuple[str, Entry]] = {}
        self._disabled_until_s: dict[bytes, int] = {}
        self._read_to = generation.manifest.sequence
        self._waiting_from: int | None = None
        self._first = True

    def read(self, snapshot: RegistrySnapshot, now_s: float) -> Delta | None:
        """Return the delta to the registry as it is now; None if it is still the one returned before.

        O(changes not read yet * log entries), and O(changes since the generation) if there are any: some 0.5 us each.
        """
        ended = [key for key, until_s in self._disabled_until_s.items() if until_s <= now_s]
        if not self._first and snapshot.sequence == self._read_to and not ended:
            return None
        if self._first:
            for key in snapshot.timed():
                self._note(snapshot, key, self._read_to, now_s)
        for sequence, key in snapshot.changed_after(self._read_to):
            self._note(snapshot, key, sequence, now_s)
        for key in ended:
            self._settle(snapshot, key, now_s)
        self._first = False
        self._read_to = snapshot.sequence
        return self._delta(snapshot)

    def _note(self, snapshot: RegistrySnapshot, key: bytes, sequence: int, now_s: float) -> None:
        """Remember the state of a changed entry, unless it is an addition for which there is no room.

        What the generation has is never left out: its old state must not go on matching.
        """
        stored = snapshot.entry(key)
        is_addition = stored is not None and stored.state != EntryState.WITHDRAWN and key not in self._changed
        if is_addition and len(self._changed) >= MAX_ADDITIONS and self._find(snapshot, key) is None:
            if self._waiting_from is None:
                self._waiting_from = sequence
            return
        self._changed[key] = stored
        self._settle(snapshot, key, now_s)

    def _row(self, snapshot: RegistrySnapshot, key: bytes) -> int | None:
        """Return the row of a changed entry in the generation, and remember it."""
        if key not in self._rows:
            self._rows[key] = self._find(snapshot, key)
        return self._rows[key]

    def _find(self, snapshot: RegistrySnapshot, key: bytes) -> int | None:
        bank_number, entry_key = decode_key(key)
        return self._generation.find(snapshot.bank_names[bank_number], entry_key)

    def _settle(self, snapshot: RegistrySnapshot, key: bytes, now_s: float) -> None:
        """Decide what a changed entry adds to the delta at that time."""
        stored, row = self._changed[key], self._row(snapshot, key)
        bank_name = snapshot.bank_names[decode_key(key)[0]]
        # Sorts as the delta's entries shall: the rest of a key is the entry's id and its source.
        place = b"%b\0%b" % (bank_name.encode(), key)
        if row is None or (self._pinned and _stays_when_pinned(stored, now_s)):
            self._tombstones.pop(key, None)
        else:
            self._tombstones[key] = row
        if stored is not None and stored.matches_at(now_s) and not self._pinned:
            self._additions[place] = bank_name, stored.entry
        else:
            self._additions.pop(place, None)
        if stored is not None and stored.disabled_until_s > now_s:
            self._disabled_until_s[key] = stored.disabled_until_s
        else:
            self._disabled_until_s.pop(key, None)

    def _delta(self, snapshot: RegistrySnapshot) -> Delta:
        manifest = self._generation.manifest
        if self._pinned:
            enabled = {bank.name: bank.enabled for bank in snapshot.banks}
            banks = tuple(bank._replace(enabled=enabled[bank.name]) for bank in manifest.banks)
            sequence = manifest.sequence
        else:
            banks = tuple(snapshot.banks)
            sequence = snapshot.sequence if self._waiting_from is None else self._waiting_from - 1
        # All but the new ones are in order already, which takes little to find out.
        self._additions = dict(sorted(self._additions.items()))
        entries = tuple(self._additions.values())
        tombstones = np.fromiter(self._tombstones.values(), dtype=np.int64, count=len(self._tombstones))
        return Delta(sequence, banks, np.unique(tombstones), entries, _segments(entries))


def _stays_when_pinned(stored: StoredEntry | None, now_s: float) -> bool:
    """Tell whether a changed entry still matches as the generation has it: if it was merely removed or replaced."""
    return stored is None or (stored.state != EntryState.WITHDRAWN and stored.matches_at(now_s))


def _segments(entries: Sequence[tuple[str, Entry]]) -> dict[str, DeltaSegment]:
    of_type: dict[str, tuple[list[bytes], list[int]]] = defaultdict(lambda: ([], []))
    for position, (_, entry) in enumerate(entries):
        for hash_type, value in entry.hashes:
            values, positions = of_type[hash_type.name]
            values.append(value)
            positions.append(position)
    segments = {}
    for name, (values, positions) in of_type.items():
        planes = planes_of(codes_from_bytes(b"".join(values), HASH_TYPES[name]))
        planes.flags.writeable = False
        segments[name] = DeltaSegment(planes, np.array(positions, dtype=np.int64))
    return segments
