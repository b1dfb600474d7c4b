"""How long the machine itself is slow: reads of memory all over the place, while nothing else runs.

On a machine that is shared, memory may take ten to a hundred times as long for some tenths of a second. A search is
such reads, so whatever is measured meanwhile tells of the machine, and not of the server.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Sequence
from itertools import cycle, groupby
from typing import Any

import numpy as np
from bench.load.listed import SEED

__all__ = ["stalls"]

_SECONDS, _SLOT_S = 30.0, 0.01
_SIZE_BYTES = 500 << 20
"""About that of the tables of 1e7 entries."""
_READS, _DIFFERENT_READS = 1000, 5000
_SLOW = 3.0
"""Times the median of all slots."""


def stalls(cpus: Sequence[int]) -> dict[str, Any]:
    """Read for half a minute, on the first of these cores.

    Returns
    -------
    dict with the median time of a read, the share of 10 ms slots in which it was more than three times as long, the
    longest run of such slots, and by how much the worst was slower.
    """
    with multiprocessing.get_context("spawn").Pool(1, initializer=os.sched_setaffinity, initargs=(0, cpus[:1])) as pool:
        read_ns = np.array(pool.apply(_read_times_ns))
    median_ns = float(np.median(read_ns))
    runs = [len(list(run)) for is_slow, run in groupby(read_ns > _SLOW * median_ns) if is_slow]
    return {
        "seconds": _SECONDS,
        "median_read_ns": round(median_ns, 1),
        "slow_share": sum(runs) / len(read_ns),
        "longest_s": max(runs, default=0) * _SLOT_S,
        "worst_times": round(float(read_ns.max()) / median_ns, 1),
    }


def _read_times_ns() -> list[float]:
    """Return the mean time of a read in each slot."""
    memory = np.ones(_SIZE_BYTES // 8, dtype=np.uint64)
    positions = np.random.default_rng(SEED).integers(len(memory), size=(_DIFFERENT_READS, _READS))
    read = np.empty(_READS, dtype=np.uint64)
    times_ns = []
    reads = cycle(positions)
    end_s = time.perf_counter() + _SECONDS
    while (begin_s := time.perf_counter()) < end_s:
        count = 0
        while (now_s := time.perf_counter()) < begin_s + _SLOT_S:
            # In another mode NumPy would buffer what it reads.
            memory.take(next(reads), out=read, mode="wrap")
            count += _READS
        times_ns.append((now_s - begin_s) / count * 1e9)
    return times_ns
