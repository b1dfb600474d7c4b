"""The oracle: search as plain NumPy, so simple that it can be seen to be right. Every other path must agree with it."""

from __future__ import annotations

import numpy as np

from nearhash_index.codes import Codes, check_codes
from nearhash_index.matches import Matches

__all__ = ["search"]


def search(codes: Codes, queries: Codes, radius: int) -> Matches:
    """Compare every query with every code, in O(n * q).

    Parameters
    ----------
    codes : uint64[n, words]
    queries : uint64[q, words]
    radius : int
        Inclusive, in bits.

    Returns
    -------
    Matches, sorted by (query, distance, row).
    """
    check_codes(queries, "queries", check_codes(codes, "codes").shape[1])
    found = []
    for i, query in enumerate(queries):
        distance = np.bitwise_count(codes ^ query).sum(axis=1, dtype=np.int64)
        row = np.flatnonzero(distance <= radius)
        found.append((np.full(len(row), i), row, distance[row]))
    query_row_distance = np.concatenate([np.stack(part, axis=1) for part in found] or [np.empty((0, 3), np.int64)])
    return Matches.sorted(*query_row_distance.T)
