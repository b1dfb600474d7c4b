# mypy: disable-error-code="call-arg, var-annotated, assignment, no-untyped-call"
# (Numba passes the first argument of an intrinsic itself, and types the kernels.)
"""The Numba kernel that searches for a few hashes in one call.

To hand a kernel an array, Numba takes the Python object apart, and a search takes some thirty of them. Between calls of
gRPC, which leave the caches cold, that costs more than the search. So this kernel is given the address of one array of
addresses, the context, which `quick_search` fills once, and the hashes as the bytes that came.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from nearhash_index.kernels.caching import compiled
from nearhash_index.kernels.degenerate import find_degenerate
from nearhash_index.kernels.intrinsics import array_at, planes_at, room_at
from nearhash_index.kernels.probing import Found, Room, search
from nearhash_index.kernels.scanning import has_match
from nearhash_index.plan import Limits, Probes
from nearhash_index.tables import Tables

__all__ = ["ARRAYS", "NUMBERS", "UNTOLD", "kernel_for"]

UNTOLD = np.int64(-1)
"""In place of a number of hits: make the searches in full."""

ARRAYS = (
    "query", "row", "refused", "hits", "added", "planes",
    "word", "shift", "bits", "first_bucket", "offsets", "entries", "rests", "ids",
    "masks", "starts", "both_stops", "thresholds", "word_radii",
    "begins", "ends", "entry_counts", "candidates", "places", "difference",
)  # fmt: skip
"""What the context is about, in its order: of each array the address, and its size in either dimension."""
# For a literal position, Numba would compile each function below anew.
(
    _QUERY, _ROW, _REFUSED, _HITS, _ADDED, _PLANES,
    _WORD, _SHIFT, _BITS, _FIRST_BUCKET, _OFFSETS, _ENTRIES, _RESTS, _IDS,
    _MASKS, _STARTS, _BOTH_STOPS, _THRESHOLDS, _WORD_RADII,
    _BEGINS, _ENDS, _ENTRY_COUNTS, _CANDIDATES, _PLACES, _DIFFERENCE,
) = map(np.int64, range(0, 3 * len(ARRAYS), 3))  # fmt: skip
NUMBERS = ("width", "side", "few", "radius", "lowered", "most_entries", "unsampled", "most_candidates")
"""What follows. `width` is that of a hash in bytes; `side` is 0 for digests, which are never degenerate."""
(_WIDTH, _SIDE, _FEW, _RADIUS, _LOWERED, _MOST_ENTRIES, _UNSAMPLED, _MOST_CANDIDATES) = range(
    3 * len(ARRAYS), 3 * len(ARRAYS) + len(NUMBERS)
)
_CONTEXT_SIZE = np.int64(3 * len(ARRAYS) + len(NUMBERS))
_U16, _U32, _U64, _I64, _BOOL = np.uint16(0), np.uint32(0), np.uint64(0), np.int64(0), np.bool_(False)
"""Stand for their dtypes."""


@cache
def kernel_for(words: int) -> Any:
    """Return the kernel for codes of that many words.

    It takes the address of the context, int64[3 * len(ARRAYS) + len(NUMBERS)], and hashes one after the other, bytes:
    at most as many as the context's arrays have room for. It returns the number of hits, which are in the context's
    array of them, int64[3, h]: of each its query, its code and its distance. Or UNTOLD if there may be hits that it
    cannot tell: without tables, among the codes added, or more than there is room for; or if a hash is degenerate.
    """
    like = (_U16,) * 4 if words == 1 else (_U64,) * words

    @compiled()
    def search_for_few(address: Any, packed: Any) -> Any:
        context = array_at(address, (_CONTEXT_SIZE,), _I64)
        width = context[_WIDTH]
        count = len(packed) // width
        queries = room_at(context[_QUERY], (count, context[_QUERY + 2]), _U64)
        for q in range(count):
            for w in range(queries.shape[1]):
                word = np.uint64(0)
                for i in range(8 * w, 8 * w + 8):
                    word = (word << np.uint64(8)) | np.uint64(packed[q * width + i] if i < width else 0)
                queries[q, w] = word
        side, radius = context[_SIDE], context[_RADIUS]
        if side and find_degenerate(queries, np.uint64(side), context[_FEW], _room(context, _ROW, _I64)):
            return UNTOLD
        if _has_match(context, _ADDED, count, radius, like):
            return UNTOLD
        if context[_WORD]:
            return _search_tables(context, count, radius, like)
        return UNTOLD if _has_match(context, _PLANES, count, radius, like) else np.int64(0)

    return search_for_few


@compiled()
def _has_match(context: Any, planes: Any, count: Any, radius: Any, like: Any) -> Any:
    size = context[planes + 2]
    codes = planes_at(context[planes], size, like)
    # The bytes of the queries, sliced as the planes are.
    slices = array_at(context[_QUERY], (count, np.int64(len(like))), like[0])
    found = False
    for q in range(count):
        found |= has_match(codes, np.uint64(0), np.uint64(size), slices[q], type(like[0])(radius))
    return found


@compiled(inline="always")
def _search_tables(context: Any, count: Any, radius: Any, like: Any) -> Any:
    tables = Tables(
        _flat(context, _WORD, _U64),
        _flat(context, _SHIFT, _U64),
        _flat(context, _BITS, _U64),
        _flat(context, _FIRST_BUCKET, _U64),
        _flat(context, _OFFSETS, _U32),
        _by_table(context, _ENTRIES, _U32),
        _by_table(context, _RESTS, _U16),
        _by_table(context, _IDS, _U32),
    )
    probes = Probes(
        _flat(context, _MASKS, _U32),
        _flat(context, _STARTS, _I64),
        _flat(context, _BOTH_STOPS, _I64),
        _flat(context, _THRESHOLDS, _I64),
        _flat(context, _WORD_RADII, _I64),
        context[_LOWERED],
    )
    room = Room(
        _room(context, _BEGINS, _U32),
        _room(context, _ENDS, _U32),
        _room(context, _ENTRY_COUNTS, _U64),
        room_at(context[_CANDIDATES], (context[_CANDIDATES + 1], context[_CANDIDATES + 2]), _I64),
        room_at(context[_PLACES], (context[_PLACES + 1], context[_PLACES + 2]), _U64),
        _room(context, _DIFFERENCE, _U64),
    )
    hits = room_at(context[_HITS], (context[_HITS + 1], context[_HITS + 2]), _I64)
    out = Found(hits[0], hits[1], hits[2])
    planes = planes_at(context[_PLANES], context[_PLANES + 2], like)
    queries = array_at(context[_QUERY], (count, context[_QUERY + 2]), _U64)
    limits = Limits(context[_MOST_ENTRIES], context[_UNSAMPLED], context[_MOST_CANDIDATES])
    refused = _room(context, _REFUSED, _BOOL)
    refused[:count] = False
    found, left = search(tables, probes, planes, queries, radius, limits, room, refused, out)
    return UNTOLD if left or found > hits.shape[1] else found


@compiled()
def _flat(context: Any, array: Any, like: Any) -> Any:
    return array_at(context[array], (context[array + 2],), like)


@compiled()
def _by_table(context: Any, array: Any, like: Any) -> Any:
    return array_at(context[array], (context[array + 1], context[array + 2]), like)


@compiled()
def _room(context: Any, array: Any, like: Any) -> Any:
    return room_at(context[array], (context[array + 2],), like)
