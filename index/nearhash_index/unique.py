"""Duplicates: each code is indexed once, however many rows hold it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearhash_index.codes import Codes
from nearhash_index.matches import Hits, Matches

__all__ = ["Postings", "collapse"]

_ODD_MULTIPLIER = np.uint64(0x9E37_79B9_7F4A_7C15)


class Postings(NamedTuple):
    """The rows of each unique code. Both arrays are empty if no code occurs twice: then code u is row u.

    Attributes
    ----------
    starts : uint32[u + 1]
        Where the rows of each code begin.
    rows : uint32[n]
    """

    starts: NDArray[np.uint32]
    rows: NDArray[np.uint32]

    def expand(self, hits: Hits) -> Matches:
        """Turn hits of unique codes into matches of rows, in O(rows log rows)."""
        query, code, distance = hits
        if not hits:
            return Matches(query, code, distance, code)
        if not len(self.starts):
            return Matches.sorted(query, code, distance)
        first = self.starts[code].astype(np.int64)
        count = self.starts[code + 1].astype(np.int64) - first
        of = np.repeat(np.arange(len(code)), count)
        # Counts upward from each code's first posting.
        slot = np.arange(len(of)) - np.repeat(np.cumsum(count) - count - first, count)
        return Matches.sorted(query[of], self.rows[slot].astype(np.int64), distance[of], code[of])

    def rows_of(self, code: int) -> tuple[int] | NDArray[np.uint32]:
        """Return the rows of one unique code."""
        if not len(self.starts):
            return (code,)
        return self.rows[self.starts[code] : self.starts[code + 1]]

    def restore(self, unique: Codes) -> Codes:
        """Return the codes that `collapse` was given, in their order."""
        if not len(self.starts):
            return unique
        codes = np.empty((len(self.rows), unique.shape[1]), dtype=np.uint64)
        codes[self.rows] = np.repeat(unique, np.diff(self.starts), axis=0)
        return codes


def collapse(codes: Codes) -> tuple[Codes, Postings]:
    """Return the unique codes and the rows of each, in O(n log n).

    Parameters
    ----------
    codes : uint64[n, words]
    """
    mixed = codes[:, 0].copy()
    for word in codes.T[1:]:
        mixed ^= mixed >> np.uint64(32)
        mixed *= _ODD_MULTIPLIER
        mixed ^= word
    order = np.argsort(mixed)
    in_order = codes[order]
    # Two codes that are mixed to the same value may alternate, and count as more than two then. That harms nobody.
    starts_anew = np.ones(len(codes), dtype=np.bool_)
    starts_anew[1:] = (in_order[1:] != in_order[:-1]).any(axis=1)
    if starts_anew.all():
        return codes, Postings(np.empty(0, np.uint32), np.empty(0, np.uint32))
    firsts = np.flatnonzero(starts_anew)
    starts = np.append(firsts, len(codes)).astype(np.uint32)
    return in_order[firsts], Postings(starts, order.astype(np.uint32))
