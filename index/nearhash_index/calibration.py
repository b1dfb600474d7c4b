"""What the steps of a search cost on this machine, measured once per process."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

import numpy as np

from nearhash_index import brute_force, table_kernels
from nearhash_index.intrinsics import LANES
from nearhash_index.work import Costs

__all__ = ["brute_force_ns", "table_costs"]

_REPEATS = 5
_SIZES_BYTES = (1 << 20, 1 << 24, 1 << 26)
"""Within the second-level cache, within the last, beyond all."""
_READS = 4096
_FEW_LINES, _MANY_LINES = 1, 9
_SCANNED_CODES, _SCANNING_QUERIES = 1 << 15, 4


def table_costs(table_bytes: int) -> Costs:
    """Return the costs in tables of about that size each, in about 0.1 s at the first call."""
    return _measure(next((size for size in _SIZES_BYTES if size >= table_bytes), _SIZES_BYTES[-1]))


@cache
def _measure(size_bytes: int) -> Costs:
    rng = np.random.default_rng(0)
    entries = np.full(size_bytes // 4, 0x5555_5555, dtype=np.uint32)
    slots = rng.integers(0, len(entries) // LANES - _MANY_LINES, _READS).astype(np.uint64) * np.uint64(LANES)
    for array in (entries, slots):
        array.flags.writeable = False
    few = _best_ns(lambda: table_kernels.read_lines(entries, slots, _FEW_LINES)) / _READS
    many = _best_ns(lambda: table_kernels.read_lines(entries, slots, _MANY_LINES)) / _READS
    line_ns = max((many - few) / (_MANY_LINES - _FEW_LINES), few / 20)
    # A probe reads the borders of its bucket, mostly in a cache, then a first line, and leaves loops early. A candidate
    # reads its id and its code.
    return Costs(probe_ns=1.5 * few, entry_ns=line_ns / LANES, candidate_ns=4 * few)


@cache
def brute_force_ns(words: int, radius: int) -> float:
    """Return the time to compare a query with one code, in nanoseconds, as one of a batch."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2**64, (_SCANNED_CODES, words), dtype=np.uint64)
    planes = brute_force.planes_of(codes)
    planes.flags.writeable = False
    queries = codes[:_SCANNING_QUERIES]
    # Matches would cost as much on either path.
    return _best_ns(lambda: brute_force.scan(planes, ~queries, min(radius, 16 * words))) / (
        _SCANNED_CODES * _SCANNING_QUERIES
    )


def _best_ns(run: Callable[[], object]) -> float:
    run()
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter_ns()
        run()
        times.append(time.perf_counter_ns() - start)
    return min(times)
