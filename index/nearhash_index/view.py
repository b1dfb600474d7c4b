"""What a lookup is answered from: a generation and the delta to now, as one immutable object."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearhash_index.entries import Bank, EntryKey
from nearhash_index.errors import BankDisabled, UnknownName
from nearhash_index.hash_types import HashType, check_radius
from nearhash_index.quick_lookup import QuickLookup
from nearhash_index.store.delta import Delta
from nearhash_index.store.generation import Generation

__all__ = ["LocatedEntry", "Reach", "View"]

_NOT_SEARCHED = -1
_MOST_REACHES = 1000
"""Kept ready; callers ask for few different ones."""


class LocatedEntry(NamedTuple):
    """An entry as an answer tells it. Located entries sort as answers do."""

    bank: str
    entry_id: str
    source: str
    labels: tuple[str, ...]


class Reach(NamedTuple):
    """How far a lookup looks in each bank.

    Attributes
    ----------
    radii : int64[banks]
        Inclusive, in bits; -1 for a bank that is not searched.
    widest : int
        The largest of them.
    quick : QuickLookup, optional
        Looks a few hashes up, where that takes little.
    """

    radii: NDArray[np.int64]
    widest: int
    quick: QuickLookup | None


@dataclass(frozen=True)
class View:
    """A generation seen through a delta.

    Entries have one numbering: first the generation's rows, then the delta's entries.
    """

    generation: Generation
    delta: Delta
    _reaches: dict[tuple[str, int | None, tuple[str, ...], tuple[str, ...]], Reach] = field(
        default_factory=dict, init=False, repr=False
    )

    @property
    def sequence(self) -> int:
        """Every change up to it is in the view."""
        return self.delta.sequence

    @property
    def banks(self) -> tuple[Bank, ...]:
        """The banks, by name. Positions below are in this tuple."""
        return self.delta.banks

    @property
    def first_added(self) -> int:
        """Number of the delta's first entry."""
        return self.generation.manifest.entry_count

    @cached_property
    def _enabled_banks(self) -> frozenset[str]:
        return frozenset(bank.name for bank in self.banks if bank.enabled)

    @cached_property
    def _enabled_allowlists(self) -> frozenset[str]:
        return frozenset(bank.name for bank in self.banks if bank.enabled and bank.allowlist)

    @property
    def has_allowlists(self) -> bool:
        """Whether there are banks whose entries suppress matches."""
        return bool(self._enabled_allowlists)

    def searched_banks(self, named: Collection[str], within: Collection[str] = ()) -> frozenset[str]:
        """Return the names of the banks that a lookup searches; see `reach`, which has accepted these."""
        if named:
            return self._enabled_allowlists.union(named)
        return self._enabled_allowlists | self._enabled_banks.intersection(within) if within else self._enabled_banks

    @cached_property
    def generation_banks(self) -> NDArray[np.int64]:
        """Position of each of the generation's banks."""
        position = {bank.name: i for i, bank in enumerate(self.banks)}
        return np.array([position[bank.name] for bank in self.generation.manifest.banks], dtype=np.int64)

    @cached_property
    def added_banks(self) -> NDArray[np.int64]:
        """Position of the bank of each of the delta's entries."""
        position = {bank.name: i for i, bank in enumerate(self.banks)}
        return np.array([position[bank] for bank, _ in self.delta.entries], dtype=np.int64)

    def reach(
        self, hash_type: HashType, radius: int | None, banks: Sequence[str], within: tuple[str, ...] = ()
    ) -> Reach:
        """Return how far to look in each bank: as far as the bank's own radius, or less if less is asked for.

        Parameters
        ----------
        radius : int, optional
            Inclusive, in bits.
        banks : sequence of str
            To search; empty: every enabled bank. Enabled allowlists are searched in any case.
        within : tuple of str
            If it is not empty, the only banks that may be searched, apart from allowlists.

        Raises
        ------
        InvalidInput
            If the radius is out of range.
        UnknownName, BankDisabled
            If a bank named is not there, or disabled.
        """
        asked = hash_type.name, radius, tuple(banks), within
        reach = self._reaches.get(asked)
        if reach is None:
            reach = self._reach(hash_type, radius, banks, within)
            if len(self._reaches) < _MOST_REACHES:
                self._reaches[asked] = reach
        return reach

    def _reach(self, hash_type: HashType, radius: int | None, banks: Sequence[str], within: tuple[str, ...]) -> Reach:
        if radius is not None:
            check_radius(hash_type, radius)
        enabled = {bank.name: bank.enabled for bank in self.banks}
        for name in banks:
            if name not in enabled:
                raise UnknownName(f"there is no bank {name!r}")
            if not enabled[name]:
                raise BankDisabled(f"bank {name!r} is disabled")
        named = set(banks or enabled)
        if within:
            named.intersection_update(within)
        radii = [
            min(bank.radii[hash_type.name], hash_type.bits if radius is None else radius)
            if bank.enabled and (bank.name in named or bank.allowlist)
            else _NOT_SEARCHED
            for bank in self.banks
        ]
        widest = max(radii, default=_NOT_SEARCHED)
        of_banks = np.array(radii, dtype=np.int64)
        return Reach(of_banks, widest, self._quick(hash_type, of_banks, widest))

    def _quick(self, hash_type: HashType, radii: NDArray[np.int64], widest: int) -> QuickLookup | None:
        segment = self.generation.segments.get(hash_type.name)
        if widest == _NOT_SEARCHED or segment is None:
            return None
        delta = self.delta.segments.get(hash_type.name)
        search = segment.index.quick_search(hash_type, widest, None if delta is None else delta.planes)
        if search is None:
            return None
        return QuickLookup(
            search,
            segment,
            self.generation.entries.bank,
            radii[self.generation_banks].tolist(),
            # Not a method of this view, which keeps the lookup: a view that is over shall not wait for the collector.
            partial(_holds, self.delta.tombstones),
            has_allowlists=self.has_allowlists,
        )

    def is_removed(self, row: int) -> bool:
        """Tell whether an entry of the generation does not match any longer; O(log removals)."""
        return _holds(self.delta.tombstones, row)

    def is_matched(self, bank: str, key: EntryKey) -> bool:
        """Tell whether lookups of an entry's hashes find it; O(log entries)."""
        if bank not in self._enabled_banks:
            return False
        row = self.generation.find(bank, key)
        if row is not None and not self.is_removed(row):
            return any(_holds(segment.entry, row) for segment in self.generation.segments.values())
        added = self.delta.entries
        at = bisect_left(added, (bank, key), key=lambda item: (item[0], item[1].key))
        return any((name, entry.key) == (bank, key) and entry.hashes for name, entry in added[at : at + 1])

    def bank_of(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the position of the bank of each entry."""
        added = numbers >= self.first_added
        banks = np.empty(len(numbers), dtype=np.int64)
        banks[~added] = self.generation_banks[self.generation.entries.bank[numbers[~added]]]
        banks[added] = self.added_banks[numbers[added] - self.first_added]
        return banks

    def entry(self, number: int) -> LocatedEntry:
        """Return an entry by its number."""
        if number >= self.first_added:
            bank, entry = self.delta.entries[number - self.first_added]
            return LocatedEntry(bank, entry.key.entry_id, entry.key.source, entry.labels)
        manifest = self.generation.manifest
        position, entry_id, source, labels = self.generation.entries.read(number)
        return LocatedEntry(
            manifest.banks[position].name, entry_id, manifest.sources[source], manifest.label_sets[labels]
        )


def _holds(ascending: NDArray[np.uint32] | NDArray[np.int64], row: int) -> bool:
    if not len(ascending):
        return False
    # Sought as the array's own type, or NumPy would convert the array.
    at = int(np.searchsorted(ascending, ascending.dtype.type(row)))
    return at < len(ascending) and int(ascending[at]) == row
