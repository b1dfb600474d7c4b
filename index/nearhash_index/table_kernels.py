# mypy: disable-error-code="var-annotated, assignment"
"""Numba kernels for the tables: build them, and search them. They release the GIL and allocate nothing.

A probe costs a read from memory more than anything else. So each step asks for what the next will read: all bucket
borders of some queries first, then the buckets themselves a few probes ahead, and the codes of candidates together.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from nearhash_index.intrinsics import LANES, near_lanes, popcount, prefetch

__all__ = ["Found", "Room", "count_buckets", "place_codes", "read_lines", "search"]

_PROBES_AHEAD = 8


class Room(NamedTuple):
    """Arrays for a search to work in.

    Attributes
    ----------
    starts, stops : uint32[p]
        p is at least the number of probes.
    candidates : int64[c, 3]
        Query, table and slot; c exceeds the limit of candidates per query by LANES at least.
    difference : uint64[words]
    """

    starts: NDArray[np.uint32]
    stops: NDArray[np.uint32]
    candidates: NDArray[np.int64]
    difference: NDArray[np.uint64]


class Found(NamedTuple):
    """Where a search writes its matches: three int64[capacity]."""

    query: NDArray[np.int64]
    code: NDArray[np.int64]
    distance: NDArray[np.int64]


@njit(nogil=True, cache=True)
def _word(planes: Any, word: Any, row: Any) -> Any:
    """Put one uint64 word of a code together from the planes that hold its slices."""
    bits = 8 * planes[0].itemsize
    slices = 64 // bits
    value = np.uint64(0)
    for k in range(slices):
        value |= np.uint64(planes[word * slices + k][row]) << np.uint64(k * bits)
    return value


@njit(nogil=True, cache=True)
def _rotate(value: Any, shift: Any) -> Any:
    """Rotate right: a band that began at bit `shift` begins at bit 0 then."""
    return (value >> shift) | (value << ((np.uint64(64) - shift) & np.uint64(63)))


@njit(nogil=True, cache=True)
def _key(rotated: Any, bits: Any) -> Any:
    return rotated & ((np.uint64(1) << bits) - np.uint64(1))


@njit(nogil=True, cache=True)
def _parity(planes: Any, row: Any) -> Any:
    ones = np.uint64(0)
    for plane in planes:
        ones += np.uint64(popcount(plane[row]))
    return ones & np.uint64(1)


@njit(nogil=True, cache=True)
def count_buckets(planes: Any, word: Any, shift: Any, bits: Any, offsets: Any) -> None:
    """Set offsets[b] to the number of codes in the buckets before b, in O(n + 2**bits)."""
    offsets[:] = 0
    for i in range(planes[0].size):
        row = np.uint64(i)
        key = _key(_rotate(_word(planes, word, row), shift), bits)
        offsets[(key << np.uint64(1)) + _parity(planes, row) + np.uint64(1)] += np.uint32(1)
    for b in range(1, offsets.size):
        offsets[b] += offsets[b - 1]


@njit(nogil=True, cache=True)
def place_codes(planes: Any, word: Any, shift: Any, bits: Any, ends: Any, entries: Any, ids: Any) -> None:
    """Write each code's entry and id into its bucket, in O(n). `ends` starts as a copy of the offsets and is used up."""
    for i in range(planes[0].size):
        row = np.uint64(i)
        rotated = _rotate(_word(planes, word, row), shift)
        bucket = (_key(rotated, bits) << np.uint64(1)) + _parity(planes, row)
        slot = np.uint64(ends[bucket])
        ends[bucket] += np.uint32(1)
        entries[slot] = np.uint32(rotated >> np.uint64(32))
        ids[slot] = np.uint32(row)


@njit(nogil=True, cache=True)
def _ask_for_borders(tables: Any, probes: Any, query: Any) -> None:
    for t in range(len(tables.word)):
        key = _key(_rotate(query[tables.word[t]], tables.shift[t]), tables.bits[t])
        for mask in probes.masks[probes.starts[t] : probes.starts[t + 1]]:
            prefetch(tables.offsets, tables.first_bucket[t] + ((key ^ np.uint64(mask)) << np.uint64(1)))


@njit(nogil=True, cache=True)
def _read_borders(offsets: Any, first: Any, key: Any, masks: Any, width: Any, starts: Any, stops: Any) -> Any:
    """Write where the `width` buckets of each masked key begin and end. Return how many codes they hold."""
    entries = np.uint64(0)
    for k in range(masks.size):
        bucket = first + ((key ^ np.uint64(masks[k])) << np.uint64(1))
        start, stop = offsets[bucket], offsets[bucket + width]
        starts[k], stops[k] = start, stop
        entries += np.uint64(stop - start)
    return entries


@njit(nogil=True, cache=True)
def _read_all_borders(tables: Any, probes: Any, query: Any, radius: Any, starts: Any, stops: Any) -> Any:
    parity = np.uint64(radius)
    for word in query:
        parity += np.uint64(popcount(word))
    parity &= np.uint64(1)
    entries = np.uint64(0)
    for t in range(len(tables.word)):
        key = _key(_rotate(query[tables.word[t]], tables.shift[t]), tables.bits[t])
        first = tables.first_bucket[t]
        a, b, c = probes.starts[t], probes.both_stops[t], probes.starts[t + 1]
        entries += _read_borders(tables.offsets, first, key, probes.masks[a:b], np.uint64(2), starts[a:b], stops[a:b])
        first += parity
        entries += _read_borders(tables.offsets, first, key, probes.masks[b:c], np.uint64(1), starts[b:c], stops[b:c])
    return np.int64(entries)


@njit(nogil=True, cache=True)
def _verify(
    tables: Any, probes: Any, planes: Any, queries: Any, radius: Any, room: Any, waiting: Any, out: Any, found: Any
) -> Any:
    """Compare candidates with their queries in full. Of the tables that find a code, the first one reports it."""
    for c in range(waiting):
        candidate = room.candidates[c]
        candidate[2] = tables.ids[candidate[1], candidate[2]]
        for plane in planes:
            prefetch(plane, np.uint64(candidate[2]))
    for c in range(waiting):
        i, table, code = room.candidates[c]
        distance = 0
        for w in range(queries.shape[1]):
            room.difference[w] = _word(planes, w, np.uint64(code)) ^ queries[i, w]
            distance += np.int64(popcount(room.difference[w]))
        if distance <= radius and _first_finder(tables, probes, room.difference, (distance ^ radius) & 1) == table:
            if found < out.code.size:
                out.query[found] = i
                out.code[found] = code
                out.distance[found] = distance
            found += 1
    return found


@njit(nogil=True, cache=True)
def _first_finder(tables: Any, probes: Any, difference: Any, less: Any) -> Any:
    """Return the first table that finds a code which differs from the query so; `less` is 1 if the parity lowers it."""
    for t in range(len(tables.word)):
        word = difference[tables.word[t]]
        in_word = np.int64(popcount(word))
        in_band = np.int64(popcount(_key(_rotate(word, tables.shift[t]), tables.bits[t])))
        word_radius = probes.word_radii[tables.word[t]]
        if tables.word[t] == tables.word[probes.lowered]:
            word_radius -= less
        threshold = probes.thresholds[t]
        if t == probes.lowered:
            threshold -= less
        if in_band <= threshold and in_word <= word_radius:
            return t
    return -1


@njit(nogil=True, cache=True)
def _scan_buckets(tables: Any, probes: Any, query: Any, starts: Any, stops: Any, found: Any, limit: Any) -> Any:
    """Write table and slot of each candidate of one query. Return their number, above the limit if there are more."""
    count = 0
    for t in range(len(tables.word)):
        rotated = _rotate(query[tables.word[t]], tables.shift[t])
        value = rotated >> np.uint64(32)
        entries = tables.entries[t]
        word_radius = np.uint64(probes.word_radii[tables.word[t]])
        for p in range(probes.starts[t], probes.starts[t + 1]):
            ahead = min(p + _PROBES_AHEAD, probes.starts[t + 1] - 1)
            slot = np.uint64(starts[ahead])
            while slot < np.uint64(stops[ahead]):
                prefetch(entries, slot)
                slot += np.uint64(LANES)
            start, stop = np.uint64(starts[p]), np.uint64(stops[p])
            bound = word_radius - np.uint64(popcount(probes.masks[p]))
            line = start & ~np.uint64(LANES - 1)
            while line < stop:
                near = near_lanes(entries, line, value, bound)
                if near != 0:
                    for lane in range(LANES):
                        slot = line + np.uint64(lane)
                        if (near >> lane) & 1 and start <= slot < stop:
                            prefetch(tables.ids[t], slot)
                            found[count, 1] = t
                            found[count, 2] = np.int64(slot)
                            count += 1
                    if count > limit:
                        return count
                line += np.uint64(LANES)
    return count


@njit(nogil=True, cache=True)
def search(
    tables: Any,
    probes: Any,
    planes: Any,
    queries: Any,
    radius: Any,
    limits: Any,
    room: Any,
    refused: Any,
    out: Any,
) -> Any:
    """Find every code within the radius of each query by probing the tables.

    Parameters
    ----------
    tables : Tables
    probes : Probes
        Of a plan for this radius.
    planes : tuple of T[n]
        The codes, T being uint16 or uint64.
    queries : uint64[q, words]
    radius : int
        Inclusive, in bits.
    limits : Limits
        A query that would touch more is refused: brute force is cheaper then.
    room : Room
    refused : bool[q]
        Receives which queries were not answered; matches of theirs in `out` are incomplete.
    out : Found
        Receives the matches in no particular order.

    Returns
    -------
    int
        Number of matches. If above the capacity of `out`, only the first are written: call again with more room.
    """
    count = probes.masks.size
    group = max(1, room.starts.size // max(1, count))
    waiting, found = 0, 0
    for first in range(0, queries.shape[0], group):
        last = min(first + group, queries.shape[0])
        for i in range(first, last):
            _ask_for_borders(tables, probes, queries[i])
        for i in range(first, last):
            k = (i - first) * count
            starts, stops = room.starts[k : k + count], room.stops[k : k + count]
            refused[i] = _read_all_borders(tables, probes, queries[i], radius, starts, stops) > limits.entries
        for i in range(first, last):
            if refused[i]:
                continue
            if waiting + limits.candidates + LANES > len(room.candidates):
                found = _verify(tables, probes, planes, queries, radius, room, waiting, out, found)
                waiting = 0
            k = (i - first) * count
            starts, stops = room.starts[k : k + count], room.stops[k : k + count]
            candidates = room.candidates[waiting:]
            seen = _scan_buckets(tables, probes, queries[i], starts, stops, candidates, limits.candidates)
            if seen > limits.candidates:
                refused[i] = True
                continue
            candidates[:seen, 0] = i
            waiting += seen
    return _verify(tables, probes, planes, queries, radius, room, waiting, out, found)


@njit(nogil=True, cache=True)
def read_lines(entries: Any, slots: Any, lines: Any) -> Any:
    """Read `lines` cache lines from each slot on, as a search of the tables does: the floor of what it can cost."""
    near = 0
    for p in range(slots.size):
        if p + _PROBES_AHEAD < slots.size:
            for line in range(lines):
                prefetch(entries, slots[p + _PROBES_AHEAD] + np.uint64(line * LANES))
        for line in range(lines):
            near += near_lanes(entries, slots[p] + np.uint64(line * LANES), np.uint64(0), np.uint64(0)) != 0
    return near
