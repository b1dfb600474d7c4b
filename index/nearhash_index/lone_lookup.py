"""Looking one hash up, as an upload does: `lookup` passes arrays of a single row through all that can be asked."""

from __future__ import annotations

from nearhash_index.hash_types import HashType
from nearhash_index.view import Reach, View

__all__ = ["LoneLookup"]

_MOST_ROWS = 64


class LoneLookup:
    """Finds the entries near one hash, as `lookup` does, with everything at hand and without arrays.

    Parameters
    ----------
    reach : Reach
        Of the view, for this hash type.
    """

    def __init__(self, view: View, hash_type: HashType, reach: Reach) -> None:
        self._view = view
        # Methods, for Python calls these sooner than objects.
        self._search = reach.lone_search.find if reach.lone_search else None
        if self._search:
            segment = view.generation.segments[hash_type.name]
            self._rows_of = segment.index.rows_of
            # Their items are Python's numbers, which take a third of the time of NumPy's.
            self._entry, self._bank = segment.entry.data, view.generation.entries.bank.data
            self._radius = reach.radii[view.generation_banks].tolist()

    def find(self, packed: bytes) -> list[tuple[int, int]] | None:
        """Find the entries near a hash.

        Parameters
        ----------
        packed : bytes
            Of the type's width, most significant byte first.

        Returns
        -------
        list of (distance in bits, number of the entry in the view), in the order of answers; at most 64. None if
        `lookup` has to be asked: the index or the banks do not make it that easy.
        """
        hits = self._search(packed) if self._search else None
        if not hits:
            # Near nothing, as most are; or not to be told.
            return hits
        if self._view.has_allowlists:
            return None
        rows = [(distance, self._rows_of(code)) for code, distance in hits]
        if sum(len(of_code) for _, of_code in rows) > _MOST_ROWS:
            return None
        nearest: dict[int, int] = {}
        for distance, of_code in rows:
            for row in of_code:
                number = self._entry[row]
                if distance <= self._radius[self._bank[number]] and not self._view.is_removed(number):
                    nearest[number] = min(distance, nearest.get(number, distance))
        return sorted((distance, number) for number, distance in nearest.items())
