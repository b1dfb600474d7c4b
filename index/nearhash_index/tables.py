"""Lookup tables: for each band, all codes sorted by their value of the band.

The codes of one band value lie together, so that a probe reads memory in sequence. Each is there as an entry of 32 bits
of the same word from outside the band, enough to rule nearly every candidate out without touching the code itself.

Within a band value, codes with an even number of set bits come first. The parity of a code and that of the query give
the parity of their distance, hence codes of the wrong parity need only lie within one less than the radius.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearhash_index import kernels
from nearhash_index.bands import Band
from nearhash_index.cache_lines import LANES, LINE
from nearhash_index.codes import Codes
from nearhash_index.matches import Hits
from nearhash_index.plan import MAX_THRESHOLD, Plan
from nearhash_index.planes import Planes
from nearhash_index.work import SAMPLES

__all__ = ["Tables", "bucket_sizes", "build", "count_entries", "new_room", "read_only", "search"]

_ROOM_FOR_PROBES = 16384
"""Probes whose borders are read together; a query with more has room of its own."""
_ROOM_FOR_QUERIES = 256
_ROOM_FOR_CANDIDATES = 512
_FIRST_CAPACITY, _MATCHES_PER_QUERY = 1024, 8
_LINE_BYTES = 64
_SAMPLE = 4096
_MOST_WORDS = 4
_NONE = np.empty(0, dtype=np.int64)

_rooms = threading.local()


class Tables(NamedTuple):
    """One table per band, over n codes.

    Attributes
    ----------
    word, shift, bits : uint64[m]
        The bands.
    first_bucket : uint64[m]
        Where the table's part of the offsets begins.
    offsets : uint32[sum of 2 * 2**bits + 1]
        Bucket b of a table, b = 2 * band value + parity of the code, holds the slots offsets[b]..offsets[b + 1] - 1.
    entries : uint32[m, n and some padding]
        By slot: bits 32 to 63 of the code's word, rotated such that the band begins at bit 0.
    rests : uint16[m, n]
        By slot: the bits of the rotated word between band and entry, at most 16.
    ids : uint32[m, n]
        By slot: the row of the code.
    """

    word: NDArray[np.uint64]
    shift: NDArray[np.uint64]
    bits: NDArray[np.uint64]
    first_bucket: NDArray[np.uint64]
    offsets: NDArray[np.uint32]
    entries: NDArray[np.uint32]
    rests: NDArray[np.uint16]
    ids: NDArray[np.uint32]

    @property
    def bands(self) -> list[Band]:
        """The bands, in the order of the tables."""
        return [Band(int(w), int(s), int(b)) for w, s, b in zip(self.word, self.shift, self.bits, strict=True)]

    @classmethod
    def over(
        cls,
        bands: Sequence[Band],
        offsets: NDArray[np.uint32],
        entries: NDArray[np.uint32],
        rests: NDArray[np.uint16],
        ids: NDArray[np.uint32],
    ) -> Tables:
        """Arrange stored arrays as tables, without copying."""
        word, shift, bits = np.array(bands, dtype=np.uint64).reshape(-1, 3).T.copy()
        sizes = (np.uint64(2) << bits) + np.uint64(1)
        first_bucket = np.cumsum(sizes, dtype=np.uint64) - sizes
        tables = cls(word, shift, bits, first_bucket, offsets, entries, rests, ids)
        return cls(*(read_only(array) for array in tables))


def build(planes: Planes, bands: Sequence[Band], threads: int = 1) -> Tables:
    """Build one table per band, in O(m * n), on several threads. Needs no memory beside the tables' own."""
    n = planes.shape[1]
    offsets = _aligned_zeros(sum((2 << band.bits) + 1 for band in bands))
    entries = _aligned_zeros(len(bands), _with_padding(n))
    rests = np.zeros((len(bands), n), dtype=np.uint16)
    ids = np.zeros((len(bands), n), dtype=np.uint32)
    tables = Tables.over(bands, offsets, entries, rests, ids)
    plane_list = tuple(read_only(planes))

    def fill(t: int) -> None:
        part = offsets[int(tables.first_bucket[t]) :][: (2 << bands[t].bits) + 1]
        band = tables.word[t], tables.shift[t], tables.bits[t]
        kernels.building.count_buckets(plane_list, *band, part)
        kernels.building.place_codes(plane_list, *band, part.copy(), entries[t], rests[t], ids[t])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, range(len(bands))))
    return tables


def search(
    tables: Tables, planes: tuple[NDArray[Any], ...], plan: Plan, queries: Codes, radius: int
) -> tuple[Hits, NDArray[np.int64]]:
    """Find all codes within the radius (inclusive) of each query as the plan for that radius says.

    Parameters
    ----------
    planes : tuple of T[n]
        The planes of the codes that the tables were built from, read-only.
    queries : uint64[q, words], read-only

    Returns
    -------
    Hits
    int64[l]
        Rows of the queries left to brute force, ascending; of these there are no hits.
    """
    room = _room(plan)
    refused = np.zeros(len(queries), dtype=np.bool_)
    capacity = max(_FIRST_CAPACITY, _MATCHES_PER_QUERY * len(queries))
    while True:
        out = kernels.probing.Found(*np.empty((3, capacity), dtype=np.int64))
        count, left = kernels.probing.search(
            tables, plan.probes, planes, queries, radius, plan.limits, room, refused, out
        )
        if count <= capacity:
            break
        capacity = count
    hits = Hits(out.query[:count], out.code[:count], out.distance[:count])
    if not left:
        return hits, _NONE
    kept = ~refused[hits.query]
    return Hits(*(array[kept] for array in hits)), np.flatnonzero(refused)


def count_entries(tables: Tables, plan: Plan, query: Codes, radius: int) -> int:
    """Return how many entries there are in the buckets that a search for one query, uint64[1, words], reads."""
    room = _room(plan)
    kernels.probing.locate(tables, plan.probes, query, 0, 1, radius, room)
    return int(room.entries[0])


def new_room(plan: Plan) -> kernels.probing.Room:
    """Make room for searches by that plan, one at a time."""
    probes = max(len(plan.probes.masks), _ROOM_FOR_PROBES)
    return kernels.probing.Room(
        begins=np.empty(probes, dtype=np.uint32),
        ends=np.empty(probes, dtype=np.uint32),
        entries=np.empty(_ROOM_FOR_QUERIES, dtype=np.uint64),
        candidates=np.empty((_candidates_of(plan), 4), dtype=np.int64),
        places=np.empty((2 * SAMPLES, 4), dtype=np.uint64),
        difference=np.empty(_MOST_WORDS, dtype=np.uint64),
    )


def _room(plan: Plan) -> kernels.probing.Room:
    """Return this thread's room, large enough for the plan."""
    room: kernels.probing.Room | None = getattr(_rooms, "room", None)
    if room is None or len(room.begins) < len(plan.probes.masks) or len(room.candidates) < _candidates_of(plan):
        room = _rooms.room = new_room(plan)
    return room


def _candidates_of(plan: Plan) -> int:
    return _ROOM_FOR_CANDIDATES + kernels.probing.SLACK * plan.limits.candidates


def bucket_sizes(tables: Tables) -> NDArray[np.float64]:
    """Estimate how many codes lie at a band value 0, 1, ... bits away from that of a query which resembles the codes.

    Returns
    -------
    float64[m, MAX_THRESHOLD + 1]
        Averages over a sample of codes, not counting the code itself.
    """
    rng = np.random.default_rng(0)
    sizes = np.zeros((len(tables.bands), MAX_THRESHOLD + 1))
    n = tables.ids.shape[1]
    for t, band in enumerate(tables.bands):
        borders = tables.offsets[int(tables.first_bucket[t]) :][: (2 << band.bits) + 1 : 2]
        slots = rng.integers(0, n, _SAMPLE)
        # The band value of the code in each slot.
        keys = np.searchsorted(borders, slots, side="right") - 1
        order = np.argsort(rng.random((_SAMPLE, band.bits)), axis=1)
        for flips in range(min(MAX_THRESHOLD, band.bits) + 1):
            near = keys ^ (1 << order[:, :flips]).sum(axis=1)
            sizes[t, flips] = (borders[near + 1] - borders[near]).mean() - (flips == 0)
    return sizes


def _with_padding(n: int) -> int:
    """Return the room for n entries when LANES at once are read from the beginning of any cache line of theirs on."""
    return -(-n // LINE) * LINE + LANES - LINE


def _aligned_zeros(*shape: int) -> NDArray[np.uint32]:
    """Return uint32 zeros that begin on a cache line, so that the lanes compared at once lie in one line."""
    size = math.prod(shape)
    room = np.zeros(size + _LINE_BYTES // 4, dtype=np.uint32)
    return room[(-room.ctypes.data % _LINE_BYTES) // 4 :][:size].reshape(shape)


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return a view that may not be written: Numba compiles anew for arrays that may."""
    view = array.view()
    view.flags.writeable = False
    return view
