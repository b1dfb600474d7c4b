"""The entries of a generation, in arrays by row, sorted by (bank, entry id, source)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

import numpy as np
from numpy.typing import NDArray

__all__ = ["EntryTable"]


class EntryTable:
    """Entries by row.

    Attributes
    ----------
    bank, source, labels : uint32[e]
        Positions in the manifest's banks, sources and label sets.
    id_end : uint64[e]
        Where each entry's id ends in `ids`.
    ids : uint8[...]
        Entry ids, UTF-8, end to end.
    """

    def __init__(
        self,
        *,
        bank: NDArray[np.uint32],
        source: NDArray[np.uint32],
        labels: NDArray[np.uint32],
        id_end: NDArray[np.uint64],
        ids: NDArray[np.uint8],
    ) -> None:
        self.bank, self.source, self.labels, self.id_end, self.ids = bank, source, labels, id_end, ids
        # Their items are Python's numbers, which take a third of the time of NumPy's.
        self._banks, self._sources, self._labels = bank.data, source.data, labels.data
        self._id_ends, self._id_bytes = id_end.data, ids.data

    def read(self, row: int) -> tuple[int, str, int, int]:
        """Return an entry's bank, id, source and labels, all but the id as positions in the manifest."""
        return self._banks[row], self.entry_id(row), self._sources[row], self._labels[row]

    def entry_id(self, row: int) -> str:
        """Return an entry's id."""
        return str(self._encoded_id(row), "utf-8")

    def rows_named(self, bank: int, entry_id: str) -> range:
        """Return the rows of the entries of that id in the bank at that position, one per source; O(log entries)."""
        # Sought as the array's own type, or NumPy would convert the array.
        first, last = np.searchsorted(self.bank, np.array([bank, bank + 1], dtype=self.bank.dtype))
        rows = range(int(first), int(last))
        wanted = entry_id.encode()
        start = bisect_left(rows, wanted, key=self._encoded_id)
        return rows[start : bisect_right(rows, wanted, lo=start, key=self._encoded_id)]

    def _encoded_id(self, row: int) -> bytes:
        return bytes(self._id_bytes[self._id_ends[row - 1] if row else 0 : self._id_ends[row]])
