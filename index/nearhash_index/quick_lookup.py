"""Looking a few hashes up, as an upload does: `lookup` passes arrays of few rows through all that can be asked."""

from __future__ import annotations

from nearhash_index.hash_types import HashType
from nearhash_index.view import Reach, View

__all__ = ["QuickLookup"]

_MOST_ROWS = 64


class QuickLookup:
    """Finds the entries near a few hashes, as `lookup` does, with everything at hand and without arrays.

    Parameters
    ----------
    reach : Reach
        Of the view, for this hash type.
    """

    def __init__(self, view: View, hash_type: HashType, reach: Reach) -> None:
        self._view = view
        # Methods, for Python calls these sooner than objects.
        self._search = reach.quick_search.find if reach.quick_search else None
        if self._search:
            segment = view.generation.segments[hash_type.name]
            self._rows_of = segment.index.rows_of
            # Their items are Python's numbers, which take a third of the time of NumPy's.
            self._entry, self._bank = segment.entry.data, view.generation.entries.bank.data
            self._radius = reach.radii[view.generation_banks].tolist()

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
        hits = self._search(packed) if self._search else None
        if not hits:
            # Near nothing, as most are; or not to be told.
            return hits
        if self._view.has_allowlists:
            return None
        rows = [(query, distance, self._rows_of(code)) for query, code, distance in hits]
        if sum(len(of_code) for _, _, of_code in rows) > _MOST_ROWS:
            return None
        nearest: dict[tuple[int, int], int] = {}
        for query, distance, of_code in rows:
            for row in of_code:
                number = self._entry[row]
                if distance <= self._radius[self._bank[number]] and not self._view.is_removed(number):
                    nearest[query, number] = min(distance, nearest.get((query, number), distance))
        return sorted((query, distance, number) for (query, number), distance in nearest.items())
