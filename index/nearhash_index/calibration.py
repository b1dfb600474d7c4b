"""What the steps of a search cost on this machine, measured once per process."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache

import numpy as np

from nearhash_index import brute_force, kernels
from nearhash_index.cache_lines import LINE
from nearhash_index.planes import planes_of
from nearhash_index.work import Costs

__all__ = ["brute_force_ns", "table_costs"]

_REPEATS = 15
"""A machine that is shared slows down for milliseconds: the quickest counts, and all of five have been slow."""
_SIZES_BYTES = (1 << 20, 1 << 22, 1 << 24, 1 << 27)
"""Within the second-level cache, about as large, within the last, beyond all."""
_READS = 1 << 13
_FEW_LINES, _MANY_LINES = 2, 10
_UNFORESEEN_NS = 0.05
"""Per entry, for where the processor expects another bucket to end; here all are of one size."""
_SCANNED_CODES, _SCANNING_QUERIES = 1 << 17, 16


def table_costs(size_bytes: int) -> Costs:
    """Return the costs in tables of about that size together, in about 0.1 s at the first call."""
    return _table_costs(next((size for size in _SIZES_BYTES if size >= size_bytes), _SIZES_BYTES[-1]))


@cache
def _table_costs(size_bytes: int) -> Costs:
    rng = np.random.default_rng(0)
    # Compared with zero, no entry is near.
    entries = np.full(size_bytes // 4, 0xFFFF_FFFF, dtype=np.uint32)
    lines = rng.integers(0, len(entries) // LINE - _MANY_LINES, (2 * (_REPEATS + 1), _READS), dtype=np.uint64)
    # Never the same slots again: they would be in a cache by then.
    slots = iter(lines * np.uint64(LINE))
    few = _best_ns(lambda: kernels.probing.read_lines(entries, next(slots), _FEW_LINES)) / _READS
    many = _best_ns(lambda: kernels.probing.read_lines(entries, next(slots), _MANY_LINES)) / _READS
    entry_ns = max(0, many - few) / (_MANY_LINES - _FEW_LINES) / LINE + _UNFORESEEN_NS
    # Before a bucket, its borders are read, most often from a cache. A candidate takes its rest, and few take more.
    return Costs(probe_ns=few + 3, entry_ns=entry_ns, candidate_ns=few + 5)


@cache
def brute_force_ns(words: int, radius: int) -> float:
    """Return the time to compare a query with one code, in nanoseconds, as one of a batch."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2**64, (_SCANNED_CODES, words), dtype=np.uint64)
    planes = planes_of(codes)
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
        # Of this thread: on a busy machine, others have their turns between.
        start = time.thread_time_ns()
        run()
        times.append(time.thread_time_ns() - start)
    return min(times)
