"""From the command to SERVING, with the kernels compiled before."""

from __future__ import annotations

import statistics
from typing import Any

from bench.load.listed import SEED, Listed
from bench.load.serving import serving

__all__ = ["starting"]

_STARTS = 5


def starting(listed: Listed) -> dict[str, Any]:
    """Start servers of one and two workers, several times each. The first start, which fills caches, is left out."""
    data = listed.published()
    found = {}
    for workers in (1, 2):
        times_s = []
        for _ in range(_STARTS + 1):
            with serving(data, workers=workers) as server:
                times_s.append(server.start_s)
        found[str(workers)] = {"median_s": statistics.median(times_s[1:]), "worst_s": max(times_s[1:])}
    return {"list": listed.name, "seed": SEED, "by_workers": found}
