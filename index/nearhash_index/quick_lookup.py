"""Looking a few hashes up, as an upload does: `lookup` passes arrays of few rows through all that can be asked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nearhash_index.quick_search import QuickSearch
from nearhash_index.store.generation import Segment

__all__ = ["QuickLookup"]

_MOST_ROWS = 64


class QuickLookup:
    """Finds the entries near a few hashes, as `lookup` does, with everything at hand and without arrays.

    Parameters
    ----------
    search : QuickSearch
        Of the segment, for the widest of the radii.
    segment : Segment
        Of a generation.
    bank : uint32[e]
        Of each of the generation's entries.
    radii : list of int
        Of each bank, inclusive, in bits; negative for a bank that is not searched.
    is_removed : callable
        Tells whether an entry, by its row, does not match any longer.
    has_allowlists : bool
        Whether matches may have to be suppressed; then none is told.

    Attributes
    ----------
    search : QuickSearch
    """

    def __init__(
        self,
        search: QuickSearch,
        segment: Segment,
        bank: NDArray[np.uint32],
        radii: list[int],
        is_removed: Callable[[int], bool],
        *,
        has_allowlists: bool,
    ) -> None:
        self.search = search
        # Methods, for Python calls these sooner than objects.
        self._find, self._rows_of, self._is_removed = search.find, segment.index.rows_of, is_removed
        # Their items are Python's numbers, which take a third of the time of NumPy's.
        self._entry, self._bank = segment.entry.data, bank.data
        self._radii, self._has_allowlists = radii, has_allowlists

    def find(self, packed: bytes) -> list[tuple[int, int, int]] | None:
        """Find the entries near each hash.

        Parameters
        ----------
        packed : bytes
            Hashes of the type's width one after the other, most significant byte first.

        Returns
        -------
        list of (query, distance in bits, number of the entry in the view), in the order of answers; at most 64. None if
        `lookup` has to be asked: the hashes are too many, or the index or the banks do not make it that easy.
        """
        hits = self._find(packed)
        if not hits:
            # Near nothing, as most are; or not to be told.
            return hits
        if self._has_allowlists:
            return None
        rows = [(query, distance, self._rows_of(code)) for query, code, distance in hits]
        if sum(len(of_code) for _, _, of_code in rows) > _MOST_ROWS:
            return None
        nearest: dict[tuple[int, int], int] = {}
        for query, distance, of_code in rows:
            for row in of_code:
                number = self._entry[row]
                if distance <= self._radii[self._bank[number]] and not self._is_removed(number):
                    nearest[query, number] = min(distance, nearest.get((query, number), distance))
        return sorted((query, distance, number) for (query, number), distance in nearest.items())
