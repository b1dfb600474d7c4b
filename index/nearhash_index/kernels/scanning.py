# mypy: disable-error-code="call-arg, var-annotated, assignment"
# (Numba passes the first argument of an intrinsic itself, and types the kernels.)
"""Numba kernels for brute force. They release the GIL and allocate nothing.

Codes come as planes: one array per slice of the code, all slices of one width, so that a vector register holds the
same slice of many codes. A 64-bit code has four planes of uint16; a wider one has one plane of uint64 per word.

A block of codes is first filtered. The bits in which *any* of some planes differ, OR-ed into one slice, are at most as
many as the bits in which the code differs: if even those exceed the radius, no code of the block lies within it. That
asks for one popcount per code where the distance itself would need one per plane. Only blocks that pass are compared
exactly, and when too many pass, the filter is left out.

Numba's on-disk cache does not notice a change in another module: after one in `intrinsics`, touch this file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import intrinsic

from nearhash_index.kernels.caching import compiled
from nearhash_index.kernels.intrinsics import popcount

__all__ = ["scan"]

BLOCK_BYTES = 16 * 1024
"""A block of all planes fits the first-level cache beside the queries."""


# Numba widens uint16 to uint64 in arithmetic, which would quarter the lanes of a vector. These keep the width.


@intrinsic
def _xor(_context: Any, x: Any, y: Any) -> Any:
    return x(x, y), lambda _context, builder, _signature, args: builder.xor(*args)


@intrinsic
def _or(_context: Any, x: Any, y: Any) -> Any:
    return x(x, y), lambda _context, builder, _signature, args: builder.or_(*args)


@intrinsic
def _plus(_context: Any, x: Any, y: Any) -> Any:
    return x(x, y), lambda _context, builder, _signature, args: builder.add(*args)


@intrinsic
def _or_not_above(_context: Any, flag: Any, x: Any, bound: Any) -> Any:
    """Return flag | (x <= bound), in the width of flag."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        flag, x, bound = args
        return builder.or_(flag, builder.zext(builder.icmp_unsigned("<=", x, bound), flag.type))

    return flag(flag, x, bound), generate


@intrinsic
def _zero(_context: Any, like: Any) -> Any:
    return like(like), lambda _context, _builder, _signature, args: args[0].type(0)


@compiled(nogil=True, inline="never")
def may_match(planes: Any, start: Any, stop: Any, query: Any, radius: Any) -> Any:
    """Tell whether a code of start..stop may lie within the radius, judged by the OR of the planes' differences."""
    found = _zero(radius)
    for j in range(start, stop):
        difference = _xor(planes[0][j], query[0])
        for k in range(1, len(planes)):
            difference = _or(difference, _xor(planes[k][j], query[k]))
        found = _or_not_above(found, popcount(difference), radius)
    return found != 0


@compiled(nogil=True, inline="never")
def has_match(planes: Any, start: Any, stop: Any, query: Any, radius: Any) -> Any:
    """Tell whether a code of start..stop lies within the radius."""
    found = _zero(radius)
    for j in range(start, stop):
        distance = popcount(_xor(planes[0][j], query[0]))
        for k in range(1, len(planes)):
            distance = _plus(distance, popcount(_xor(planes[k][j], query[k])))
        found = _or_not_above(found, distance, radius)
    return found != 0


@compiled(nogil=True)
def scan(
    filter_planes: Any,
    planes: Any,
    queries: Any,
    radius: Any,
    filtering: Any,
    query_out: Any,
    row_out: Any,
    distance_out: Any,
) -> Any:
    """Compare every query with every code: O(n * q), blocks outside, so that a batch reads the codes once.

    Parameters
    ----------
    filter_planes : tuple of T[n]
        Leading planes to filter by.
    planes : tuple of T[n]
        T is uint16 or uint64.
    queries : T[q, planes]
    radius : T
        Inclusive, in bits.
    filtering : bool
        Whether to filter at first.
    query_out, row_out, distance_out : int64[capacity]
        Receive the matches in no particular order.

    Returns
    -------
    int
        Number of matches. If above the capacity, only the first are written: call again with more room.
    """
    n = np.uint64(planes[0].size)
    block = np.uint64(BLOCK_BYTES // (len(planes) * planes[0].itemsize))
    blocks_filtered, blocks_passed = 0, 0
    found = 0
    start = np.uint64(0)
    while start < n:
        stop = min(start + block, n)
        for i in range(queries.shape[0]):
            query = queries[i]
            if filtering:
                blocks_filtered += 1
                if not may_match(filter_planes, start, stop, query, radius):
                    continue
                blocks_passed += 1
                # Codes that resemble the query pass the filter; then the exact comparison alone is cheaper.
                filtering = blocks_passed < 16 + blocks_filtered // 4
            elif not has_match(planes, start, stop, query, radius):
                continue
            for j in range(start, stop):
                distance = 0
                for k in range(len(planes)):
                    distance += np.int64(popcount(_xor(planes[k][j], query[k])))
                if distance <= np.int64(radius):
                    if found < row_out.size:
                        query_out[found] = i
                        row_out[found] = np.int64(j)
                        distance_out[found] = distance
                    found += 1
        start = stop
    return found
