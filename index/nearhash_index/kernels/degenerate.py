# mypy: disable-error-code="call-arg, assignment"
# (Numba passes the first argument of an intrinsic itself, and types the kernels.)
"""The Numba kernel that finds degenerate hashes. It releases the GIL and allocates nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from nearhash_index.kernels.caching import compiled
from nearhash_index.kernels.intrinsics import popcount

__all__ = ["find_degenerate"]


@compiled(nogil=True)
def find_degenerate(codes: Any, side: Any, few: Any, rows_out: Any) -> Any:
    """Find the hashes with few bits set or clear, or, seen as squares of bits, with equal rows or equal columns.

    Parameters
    ----------
    codes : uint64[n, words]
    side : uint64
        Bits of a row of the square, a divisor of 64.
    few : int
        So many bits set, or clear, are too few (inclusive).
    rows_out : int64[n]
        Receives the rows of `codes` that are degenerate, ascending.

    Returns
    -------
    int
        How many there are.
    """
    full = np.uint64(0xFFFF_FFFF_FFFF_FFFF) >> (np.uint64(64) - side)
    found = 0
    for i in range(codes.shape[0]):
        first = codes[i, 0] & full
        rows_equal = columns_equal = True
        ones = 0
        for w in range(codes.shape[1]):
            word = codes[i, w]
            ones += np.int64(popcount(word))
            for _ in range(np.uint64(64) // side):
                row = word & full
                rows_equal &= row == first
                # Then each row is all zeros or all ones.
                columns_equal &= row in (np.uint64(0), full)
                word >>= side
        if rows_equal or columns_equal or ones <= few or ones >= 64 * codes.shape[1] - few:
            rows_out[found] = i
            found += 1
    return found
