"""What a lookup is answered from: a generation and the delta to now, as one immutable object."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearhash_index.entries import Bank
from nearhash_index.store.delta import Delta
from nearhash_index.store.generation import Generation

__all__ = ["LocatedEntry", "View"]


class LocatedEntry(NamedTuple):
    """An entry as an answer tells it. Located entries sort as answers do."""

    bank: str
    entry_id: str
    source: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class View:
    """A generation seen through a delta.

    Entries have one numbering: first the generation's rows, then the delta's entries.
    """

    generation: Generation
    delta: Delta

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
    def generation_banks(self) -> NDArray[np.int64]:
        """Position of each of the generation's banks."""
        position = {bank.name: i for i, bank in enumerate(self.banks)}
        return np.array([position[bank.name] for bank in self.generation.manifest.banks], dtype=np.int64)

    @cached_property
    def added_banks(self) -> NDArray[np.int64]:
        """Position of the bank of each of the delta's entries."""
        position = {bank.name: i for i, bank in enumerate(self.banks)}
        return np.array([position[bank] for bank, _ in self.delta.entries], dtype=np.int64)

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
        manifest, entries = self.generation.manifest, self.generation.entries
        return LocatedEntry(
            manifest.banks[entries.bank[number]].name,
            entries.entry_id(number),
            manifest.sources[entries.source[number]],
            manifest.label_sets[entries.labels[number]],
        )
