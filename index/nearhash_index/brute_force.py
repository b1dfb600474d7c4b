"""Brute force: compares with every code, as fast as the machine reads them."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from nearhash_index import kernels
from nearhash_index.codes import Codes
from nearhash_index.matches import Hits
from nearhash_index.planes import Planes

__all__ = ["scan"]

_FIRST_CAPACITY = 1024
_PASSING_BLOCKS = 0.05
"""Blocks that may pass the filter by chance; each costs about as much again."""


def scan(planes: Planes, queries: Codes, radius: int) -> Hits:
    """Find all codes within the radius (inclusive) of each query, in O(n * q) and one pass over the codes.

    Parameters
    ----------
    planes : Planes
    queries : uint64[q, words], C-contiguous
    radius : int
        Inclusive, in bits.
    """
    count, _ = planes.shape
    query_slices = queries.view(planes.dtype)
    # One kernel specialisation, whether the caller's array may be written or not.
    query_slices.flags.writeable = False
    plane_list = tuple(planes)
    filtered_by = _planes_to_filter_by(count, planes.itemsize * 8, radius)
    bound = planes.dtype.type(radius)
    capacity = _FIRST_CAPACITY
    while True:
        out = np.empty((3, capacity), dtype=np.int64)
        found = kernels.scanning.scan(
            plane_list[: filtered_by or 1], plane_list, query_slices, bound, filtered_by > 0, *out
        )
        if found <= capacity:
            return Hits(*out[:, :found])
        capacity = found


@cache
def _planes_to_filter_by(count: int, plane_bits: int, radius: int) -> int:
    """Return the least number of planes whose filter lets few blocks of random codes pass; 0 if none does."""
    block = kernels.scanning.BLOCK_BYTES * 8 // (count * plane_bits)
    for used in range(1, count + 1):
        # Each bit of the OR of `used` random differences is clear with probability 2**-used.
        clear = 0.5**used
        passing = sum(
            math.comb(plane_bits, ones) * (1 - clear) ** ones * clear ** (plane_bits - ones)
            for ones in range(min(radius, plane_bits) + 1)
        )
        if block * passing < _PASSING_BLOCKS:
            return used
    return 0
