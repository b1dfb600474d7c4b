# mypy: disable-error-code="call-arg, var-annotated, assignment"
# (Numba passes the first argument of an intrinsic itself, and types the kernels.)
"""Numba kernels that search the tables. They release the GIL and allocate nothing.

A probe costs a read from memory more than anything else. So each step asks for what the next will read: all bucket
borders of some queries first, then the buckets themselves a few probes ahead, and the codes of candidates together.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearhash_index.cache_lines import LANES, LINE
from nearhash_index.kernels.caching import compiled
from nearhash_index.kernels.fields import entry_of, key_of, rest_of, rotated_right, word_of
from nearhash_index.kernels.intrinsics import near_lanes, popcount, prefetch
from nearhash_index.kernels.sampling import leave_out

__all__ = ["SLACK", "Found", "Room", "locate", "read_lines", "search"]

SLACK = 2
"""So many times the candidates expected of a sample are borne, before a query is refused after all."""
_PROBES_AHEAD = 8


class Room(NamedTuple):
    """Arrays for a search to work in.

    Attributes
    ----------
    begins, ends : uint32[p]
        The slots of each probe; p is at least the number of probes of a query.
    entries : uint64[g]
        How many codes the probes of a query meet, for the at most g queries located together.
    candidates : int64[c, 4]
        Query, table, slot, and in which bits of band and entry the two differ, rotated such that the band begins at bit
        0. c exceeds SLACK times the limit of candidates per query by LANES at least.
    places : uint64[2 * SAMPLES, 4]
        Where a query is sampled: first of the entries, value and bound to compare with, and which lanes count.
    difference : uint64[words]
    """

    begins: NDArray[np.uint32]
    ends: NDArray[np.uint32]
    entries: NDArray[np.uint64]
    candidates: NDArray[np.int64]
    places: NDArray[np.uint64]
    difference: NDArray[np.uint64]


class Found(NamedTuple):
    """Where a search writes its matches: three int64[capacity]."""

    query: NDArray[np.int64]
    code: NDArray[np.int64]
    distance: NDArray[np.int64]


# Whatever Numba takes out of a tuple, or slices, is counted by an atomic reference count, which costs as much as a
# probe. So arrays are taken out once for a group of queries, and indexed as a whole.


@compiled(nogil=True)
def locate(tables: Any, probes: Any, queries: Any, first: Any, last: Any, radius: Any, room: Any) -> None:
    """Read where the buckets of each probe begin and end, for the queries first..last - 1, and count their codes."""
    word, shift, bits, first_bucket, offsets = (
        tables.word, tables.shift, tables.bits, tables.first_bucket, tables.offsets
    )  # fmt: skip
    masks, starts, both_stops = probes.masks, probes.starts, probes.both_stops
    begins, ends, entries = room.begins, room.ends, room.entries
    for i in range(first, last):
        for t in range(word.size):
            key = key_of(rotated_right(queries[i, word[t]], shift[t]), bits[t])
            for p in range(starts[t], starts[t + 1]):
                prefetch(offsets, first_bucket[t] + ((key ^ np.uint64(masks[p])) << np.uint64(1)))
    k = np.uint64(0)
    for i in range(first, last):
        parity = np.uint64(radius)
        for w in range(queries.shape[1]):
            parity += np.uint64(popcount(queries[i, w]))
        parity &= np.uint64(1)
        total = np.uint64(0)
        for t in range(word.size):
            key = key_of(rotated_right(queries[i, word[t]], shift[t]), bits[t])
            for p in range(starts[t], both_stops[t]):
                bucket = first_bucket[t] + ((key ^ np.uint64(masks[p])) << np.uint64(1))
                begins[k], ends[k] = offsets[bucket], offsets[bucket + np.uint64(2)]
                total += np.uint64(ends[k]) - np.uint64(begins[k])
                k += np.uint64(1)
            for p in range(both_stops[t], starts[t + 1]):
                bucket = first_bucket[t] + ((key ^ np.uint64(masks[p])) << np.uint64(1)) + parity
                begins[k], ends[k] = offsets[bucket], offsets[bucket + np.uint64(1)]
                total += np.uint64(ends[k]) - np.uint64(begins[k])
                k += np.uint64(1)
        entries[i - first] = total


@compiled(nogil=True)
def _ask_for(entries: Any, start: Any, stop: Any) -> None:
    # Two lines for certain, since most buckets have no more: no branch can be mispredicted then.
    prefetch(entries, start)
    prefetch(entries, start + np.uint64(LINE))
    start += np.uint64(2 * LINE)
    while start < stop:
        prefetch(entries, start)
        start += np.uint64(LINE)


@compiled(nogil=True)
def _scan(
    tables: Any,
    probes: Any,
    queries: Any,
    first: Any,
    start: Any,
    last: Any,
    limits: Any,
    room: Any,
    refused: Any,
    waiting: Any,
) -> Any:
    """Write the candidates of the queries start..last - 1 behind those waiting, as long as there is room for them.

    A candidate is a code whose entry does not rule it out.
    The queries first..last - 1 are those located. Returns the query to go on with, and how many are waiting then.
    """
    word, shift = tables.word, tables.shift
    entries, rests = tables.entries.reshape(-1), tables.rests.reshape(-1)
    entries_per_table, rests_per_table = np.uint64(tables.entries.shape[1]), np.uint64(tables.rests.shape[1])
    masks, starts, word_radii = probes.masks, probes.starts, probes.word_radii
    begins, ends, entries_of_query, candidates = room.begins, room.ends, room.entries, room.candidates
    probes_per_query = np.uint64(masks.size)
    for i in range(start, last):
        if refused[i]:
            continue
        sampled = entries_of_query[i - first] > np.uint64(limits.unsampled)
        most = waiting + limits.candidates * (SLACK if sampled else 1)
        if most + LANES > len(candidates):
            return i, waiting
        query_waiting = waiting
        for t in range(word.size):
            rotated = rotated_right(queries[i, word[t]], shift[t])
            value = entry_of(rotated)
            first_entry = np.uint64(t) * entries_per_table
            k = np.uint64(i - first) * probes_per_query + np.uint64(starts[t])
            stop = k + np.uint64(starts[t + 1] - starts[t])
            mask = np.uint64(starts[t])
            while k < stop:
                ahead = min(k + np.uint64(_PROBES_AHEAD), stop - np.uint64(1))
                _ask_for(entries, first_entry + np.uint64(begins[ahead]), first_entry + np.uint64(ends[ahead]))
                begin, end = np.uint64(begins[k]), np.uint64(ends[k])
                bound = np.uint64(word_radii[word[t]]) - np.uint64(popcount(masks[mask]))
                line = begin & ~np.uint64(LINE - 1)
                while line < end:
                    near = near_lanes(entries, first_entry + line, value, bound)
                    while near != 0 and waiting <= most:
                        # The number of zeros below the lowest bit that is set.
                        slot = line + np.uint64(popcount((near & -near) - np.uint32(1)))
                        near &= near - np.uint32(1)
                        if begin <= slot < end:
                            prefetch(rests, np.uint64(t) * rests_per_table + slot)
                            in_entry = np.uint64(entries[first_entry + slot]) ^ value
                            candidates[waiting, 0] = i
                            candidates[waiting, 1] = t
                            candidates[waiting, 2] = np.int64(slot)
                            candidates[waiting, 3] = np.int64(in_entry << np.uint64(32) | np.uint64(masks[mask]))
                            waiting += 1
                    line += np.uint64(LANES)
                k += np.uint64(1)
                mask += np.uint64(1)
            if waiting > most:
                break
        if waiting > most:
            refused[i] = True
            waiting = query_waiting
    return last, waiting


@compiled(nogil=True)
def _finds(
    table: Any,
    differing: Any,
    less: Any,
    word: Any,
    shift: Any,
    bits: Any,
    thresholds: Any,
    word_radii: Any,
    lowered: Any,
) -> Any:
    """Tell whether a table finds a code whose word differs from that of the query in the bits that are set.

    `less` is 1 where the distance is of the other parity than the radius: there is one bit less to share out then.
    """
    word_radius = word_radii[word[table]] - (less if word[table] == word[lowered] else 0)
    threshold = thresholds[table] - (less if table == lowered else 0)
    in_band = key_of(rotated_right(differing, shift[table]), bits[table])
    return np.int64(popcount(in_band)) <= threshold and np.int64(popcount(differing)) <= word_radius


@compiled(nogil=True)
def _rule_out(tables: Any, probes: Any, queries: Any, radius: Any, room: Any, waiting: Any) -> Any:
    """Keep the candidates that their words do not rule out, with their distances where known, else -1; return how many.

    Near copies are found by most tables, of which the first one reports them. What a table holds is a whole word, if
    its band has 16 bits at least. So it tells whether an earlier table of the word finds them, too, and of codes of one
    word everything but the id.
    """
    word, shift, bits, rests, ids = tables.word, tables.shift, tables.bits, tables.rests, tables.ids
    thresholds, word_radii, lowered = probes.thresholds, probes.word_radii, probes.lowered
    candidates, ids_per_table = room.candidates, np.uint64(tables.ids.shape[1])
    kept = 0
    for c in range(waiting):
        i, table, slot = candidates[c, 0], candidates[c, 1], candidates[c, 2]
        rest = rest_of(rotated_right(queries[i, word[table]], shift[table]), bits[table])
        rest ^= np.uint64(rests[table, slot])
        rotated = np.uint64(candidates[c, 3]) | rest << max(bits[table], np.uint64(16))
        distance = np.int64(popcount(rotated))
        if distance > word_radii[word[table]]:
            continue
        is_first, is_known = True, False
        if bits[table] >= np.uint64(16):
            is_known = queries.shape[1] == 1
            # Of more words the parity is not known yet. What is found with one bit less is found anyway.
            less = (distance ^ radius) & 1 if is_known else np.int64(1)
            differing = rotated_right(rotated, (np.uint64(64) - shift[table]) & np.uint64(63))
            for t in range(table):
                if word[t] == word[table]:
                    is_first &= not _finds(t, differing, less, word, shift, bits, thresholds, word_radii, lowered)
            if is_known:
                is_first &= _finds(table, differing, less, word, shift, bits, thresholds, word_radii, lowered)
        if is_first:
            prefetch(ids, np.uint64(table) * ids_per_table + np.uint64(slot))
            candidates[kept, 0], candidates[kept, 1], candidates[kept, 2] = i, table, slot
            candidates[kept, 3] = distance if is_known else np.int64(-1)
            kept += 1
    return kept


@compiled(nogil=True)
def _verify(
    tables: Any, probes: Any, planes: Any, queries: Any, radius: Any, room: Any, waiting: Any, out: Any, found: Any
) -> Any:
    """Report the candidates that are within the radius, each from the first table that finds it."""
    kept = _rule_out(tables, probes, queries, radius, room, waiting)
    word, shift, bits, ids = tables.word, tables.shift, tables.bits, tables.ids
    thresholds, word_radii, lowered = probes.thresholds, probes.word_radii, probes.lowered
    candidates, difference = room.candidates, room.difference
    query_out, code_out, distance_out = out
    left = 0
    for c in range(kept):
        code = np.int64(ids[candidates[c, 1], candidates[c, 2]])
        if candidates[c, 3] >= 0:
            if found < code_out.size:
                query_out[found], code_out[found], distance_out[found] = candidates[c, 0], code, candidates[c, 3]
            found += 1
            continue
        for plane in planes:
            prefetch(plane, np.uint64(code))
        candidates[left, 0], candidates[left, 1], candidates[left, 2] = candidates[c, 0], candidates[c, 1], code
        left += 1
    for c in range(left):
        i, table, code = candidates[c, 0], candidates[c, 1], candidates[c, 2]
        distance = 0
        for w in range(queries.shape[1]):
            difference[w] = word_of(planes, w, np.uint64(code)) ^ queries[i, w]
            distance += np.int64(popcount(difference[w]))
        if distance > radius:
            continue
        less = (distance ^ radius) & 1
        for t in range(table + 1):
            if _finds(t, difference[word[t]], less, word, shift, bits, thresholds, word_radii, lowered):
                if t == table:
                    if found < code_out.size:
                        query_out[found], code_out[found], distance_out[found] = i, code, distance
                    found += 1
                break
    return found


@compiled(nogil=True)
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
        Set for queries that are refused; there are no matches of these.
    out : Found
        Receives the matches in no particular order.

    Returns
    -------
    int, int
        Number of matches; if above the capacity of `out`, only the first are written: call again with more room.
        Number of queries refused.
    """
    group = min(room.entries.size, max(1, room.begins.size // max(1, probes.masks.size)))
    # Of that type from the start: for a literal 0, Numba would compile another `_scan` and two more of `_verify`.
    waiting, found, left = np.int64(0), np.int64(0), np.int64(0)
    for first in range(0, queries.shape[0], group):
        last = min(first + group, queries.shape[0])
        locate(tables, probes, queries, first, last, radius, room)
        leave_out(tables, probes, queries, first, last, limits, room, refused)
        i = first
        while i < last:
            i, waiting = _scan(tables, probes, queries, first, i, last, limits, room, refused, waiting)
            if i < last:
                found = _verify(tables, probes, planes, queries, radius, room, waiting, out, found)
                waiting = np.int64(0)
    for i in range(queries.shape[0]):
        left += refused[i]
    return _verify(tables, probes, planes, queries, radius, room, waiting, out, found), left


@compiled(nogil=True)
def read_lines(entries: Any, slots: Any, lines: Any) -> Any:
    """Read `lines` cache lines from each slot on, as a search of the tables does: the floor of what it can cost."""
    near = 0
    for p in range(slots.size):
        if p + _PROBES_AHEAD < slots.size:
            for line in range(lines):
                prefetch(entries, slots[p + _PROBES_AHEAD] + np.uint64(line * LINE))
        for line in range(0, lines, LANES // LINE):
            near += near_lanes(entries, slots[p] + np.uint64(line * LINE), np.uint64(0), np.uint64(0)) != 0
    return near
