"""The search index: built once, immutable, safe to search from any number of threads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from nearhash_index import brute_force
from nearhash_index.brute_force import Planes
from nearhash_index.codes import Codes, check_codes
from nearhash_index.errors import InvalidInput
from nearhash_index.matches import Matches

__all__ = ["Index"]


class Index:
    """Finds all codes within a Hamming radius of a query, exactly.

    Build one with `Index.build`, or open one over the arrays of another with `Index.open`: nothing is copied then, so
    the arrays may lie in a memory map.
    """

    def __init__(self, planes: Planes) -> None:
        self._planes = planes

    @classmethod
    def build(cls, codes: Codes) -> Index:
        """Index the codes, in O(n).

        Parameters
        ----------
        codes : uint64[n, words]
            words is 1 to 4. Copied.

        Raises
        ------
        InvalidInput
            If the array has another shape or dtype.
        """
        return cls.open({"planes": brute_force.planes_of(check_codes(codes, "codes"))})

    @classmethod
    def open(cls, arrays: Mapping[str, NDArray[Any]]) -> Index:
        """Search in place the arrays that `arrays()` of another index returned."""
        planes = arrays["planes"].view()
        # One kernel specialisation for built and for mapped arrays.
        planes.flags.writeable = False
        return cls(planes)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that the index consists of, for storage."""
        return {"planes": self._planes}

    @property
    def words(self) -> int:
        """Words per code."""
        return len(self._planes) * self._planes.itemsize // 8

    def __len__(self) -> int:
        return int(self._planes.shape[1])

    def search(self, queries: Codes, radius: int) -> Matches:
        """Find every code within the radius of each query.

        Parameters
        ----------
        queries : uint64[q, words]
        radius : int
            Inclusive, in bits; 0 to 64 * words.

        Returns
        -------
        Matches, sorted by (query, distance, row), `row` counting the codes as given to `build`.

        Raises
        ------
        InvalidInput
            If the queries have another shape or dtype, or the radius is out of range.
        """
        queries = check_codes(queries, "queries", self.words)
        if not 0 <= radius <= 64 * self.words:
            raise InvalidInput("radius", f"{radius} is out of range; use 0 to {64 * self.words}")
        return brute_force.scan(self._planes, queries, radius)
