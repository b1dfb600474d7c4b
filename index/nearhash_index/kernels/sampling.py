# mypy: disable-error-code="call-arg, var-annotated, assignment"
# (Numba passes the first argument of an intrinsic itself, and types the kernels.)
"""Numba kernels that foretell from a sample whether a query has too many candidates for the tables.

To find that out on the way would cost a search of the tables on top of brute force.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nearhash_index.cache_lines import LANES, LINE
from nearhash_index.kernels.caching import compiled
from nearhash_index.kernels.fields import entry_of, rotated_right
from nearhash_index.kernels.intrinsics import near_lanes, popcount, prefetch
from nearhash_index.work import SAMPLES

__all__ = ["leave_out"]


@compiled(nogil=True)
def leave_out(
    tables: Any, probes: Any, queries: Any, first: Any, last: Any, limits: Any, room: Any, refused: Any
) -> None:
    """Refuse the queries first..last - 1, which are located, that are to be left to brute force.

    From LANES codes of its buckets at SAMPLES places is estimated how many candidates a query has.
    """
    word, shift, masks, starts, word_radii = tables.word, tables.shift, probes.masks, probes.starts, probes.word_radii
    entries, entries_per_table = tables.entries.reshape(-1), np.uint64(tables.entries.shape[1])
    begins, ends, totals, places = room.begins, room.ends, room.entries, room.places
    for i in range(first, last):
        total = totals[i - first]
        if total <= np.uint64(limits.unsampled):
            continue
        if total > np.uint64(limits.entries):
            refused[i] = True
            continue
        # Each place is asked for first, and looked at in a second round.
        step = max(np.uint64(1), total // np.uint64(SAMPLES))
        passed, place, count = np.uint64(0), step // np.uint64(2), np.int64(0)
        k = np.uint64(i - first) * np.uint64(masks.size)
        for t in range(word.size):
            value = entry_of(rotated_right(queries[i, word[t]], shift[t]))
            first_entry = np.uint64(t) * entries_per_table
            for p in range(starts[t], starts[t + 1]):
                begin, end = np.uint64(begins[k]), np.uint64(ends[k])
                passed += end - begin
                while place < passed:
                    line = (end + place - passed) & ~np.uint64(LINE - 1)
                    prefetch(entries, first_entry + line)
                    prefetch(entries, first_entry + line + np.uint64(LINE))
                    places[count, 0], places[count, 1] = first_entry + line, value
                    places[count, 2] = np.uint64(word_radii[word[t]]) - np.uint64(popcount(masks[p]))
                    places[count, 3] = _lanes_between(max(begin, line) - line, min(end - line, np.uint64(LANES)))
                    count += 1
                    place += step
                k += np.uint64(1)
        seen, near = np.uint64(0), np.uint64(0)
        for c in range(count):
            inside = places[c, 3]
            seen += np.uint64(popcount(inside))
            near += np.uint64(popcount(inside & near_lanes(entries, places[c, 0], places[c, 1], places[c, 2])))
        refused[i] = near * total // max(np.uint64(1), seen) > np.uint64(limits.candidates)


@compiled(nogil=True)
def _lanes_between(first: Any, stop: Any) -> Any:
    """Return a uint64 whose bits first..stop - 1 are set; 0 <= first < stop <= LANES."""
    return (np.uint64(1) << stop) - (np.uint64(1) << first)
