"""What a search returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Hits", "Matches"]

_MANY = 256
_MOST_QUERIES = 1 << 22


@dataclass(frozen=True, slots=True)
class Matches:
    """Pairs of query and code within the radius, as three arrays of one length.

    Attributes
    ----------
    query : int64[k]
        Row of the query.
    row : int64[k]
        Row of the code in the codes that the index was built from.
    distance : int64[k]
        Hamming distance in bits.
    code : int64[k]
        Position of the code among the unique codes.
    """

    query: NDArray[np.int64]
    row: NDArray[np.int64]
    distance: NDArray[np.int64]
    code: NDArray[np.int64]

    @classmethod
    def sorted(
        cls,
        query: NDArray[np.int64],
        row: NDArray[np.int64],
        distance: NDArray[np.int64],
        code: NDArray[np.int64] | None = None,
    ) -> Matches:
        """Order by (query, distance, row), in O(k log k). Without `code`, no code occurs twice: code u is row u."""
        order = _order(query, distance, row)
        row = row[order]
        return cls(query[order], row, distance[order], row if code is None else code[order])

    def __len__(self) -> int:
        return len(self.query)


def _order(query: NDArray[np.int64], distance: NDArray[np.int64], row: NDArray[np.int64]) -> NDArray[np.intp]:
    if len(query) < _MANY or int(query.max()) >= _MOST_QUERIES:
        return np.lexsort((row, distance, query))
    # As one number, which NumPy sorts ten times as fast. Rows have 32 bits, distances 9.
    return np.argsort(query << 41 | distance << 32 | row)


class Hits(NamedTuple):
    """Pairs of query and indexed code within the radius, in no particular order: three int64[k]."""

    query: NDArray[np.int64]
    code: NDArray[np.int64]
    distance: NDArray[np.int64]

    @classmethod
    def joined(cls, parts: Sequence[Hits]) -> Hits:
        """Put hits one after the other. There is at least one part."""
        return parts[0] if len(parts) == 1 else cls(*map(np.concatenate, zip(*parts, strict=True)))

    def __bool__(self) -> bool:
        """Whether there are any."""
        return len(self.query) > 0
