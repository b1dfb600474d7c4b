# mypy: disable-error-code="call-arg, var-annotated, assignment"
# (Numba passes the first argument of an intrinsic itself, and types the kernels.)
"""Numba kernels that foretell from a sample whether a query has too many candidates for the tables.

To find that out on the way would cost a search of the tables on top of brute force.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from nearhash_index.cache_lines import LANES, LINE
from nearhash_index.kernels.fields import entry_of, rotated_right
from nearhash_index.kernels.intrinsics import near_lanes, popcount, prefetch

__all__ = ["is_left"]

_SAMPLES = 24


@njit(nogil=True, cache=True)
def is_left(tables: Any, probes: Any, queries: Any, i: Any, limits: Any, room: Any, located: Any, total: Any) -> Any:
    """Tell whether a query is to be left to brute force, before its buckets are read.

    Parameters
    ----------
    i, located : int, uint64
        The query's row, and its position among those whose buckets are located in `room`.
    total : uint64
        Codes in its buckets.
    """
    if total > np.uint64(limits.entries):
        return True
    first_probe = located * np.uint64(probes.masks.size)
    return _expected_candidates(tables, probes, queries, i, room, first_probe, total) > np.uint64(limits.candidates)


@njit(nogil=True, cache=True)
def _expected_candidates(
    tables: Any, probes: Any, queries: Any, i: Any, room: Any, first_probe: Any, total: Any
) -> Any:
    """Estimate how many of the codes in a query's buckets are candidates, from LANES of them at _SAMPLES places."""
    word, shift, starts, word_radii, masks = tables.word, tables.shift, probes.starts, probes.word_radii, probes.masks
    entries, begins, ends = tables.entries.reshape(-1), room.begins, room.ends
    entries_per_table = np.uint64(tables.entries.shape[1])
    step = max(np.uint64(1), total // np.uint64(_SAMPLES))
    seen, near = np.uint64(0), np.uint64(0)
    # Each place is asked for first, and looked at in a second round.
    for looking in (False, True):
        k, passed, place = first_probe, np.uint64(0), step // np.uint64(2)
        for t in range(word.size):
            value = entry_of(rotated_right(queries[i, word[t]], shift[t]))
            first_entry = np.uint64(t) * entries_per_table
            for p in range(starts[t], starts[t + 1]):
                begin, end = np.uint64(begins[k]), np.uint64(ends[k])
                passed += end - begin
                while place < passed:
                    line = (end + place - passed) & ~np.uint64(LINE - 1)
                    if looking:
                        bound = np.uint64(word_radii[word[t]]) - np.uint64(popcount(masks[p]))
                        inside = _lanes_between(max(begin, line) - line, min(end - line, np.uint64(LANES)))
                        near += np.uint64(popcount(inside & near_lanes(entries, first_entry + line, value, bound)))
                        seen += np.uint64(popcount(inside))
                    else:
                        prefetch(entries, first_entry + line)
                        prefetch(entries, first_entry + line + np.uint64(LINE))
                    place += step
                k += np.uint64(1)
    return near * total // max(np.uint64(1), seen)


@njit(nogil=True, cache=True)
def _lanes_between(first: Any, stop: Any) -> Any:
    """Return a uint32 whose bits first..stop - 1 are set; 0 <= first < stop <= LANES."""
    return np.uint32((np.uint64(1) << stop) - (np.uint64(1) << first))
