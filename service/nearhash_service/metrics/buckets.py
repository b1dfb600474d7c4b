"""Observations counted by upper bound, as a histogram tells them: prometheus_client's would take twice the time."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

__all__ = ["SECONDS", "Buckets"]

SECONDS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60)
"""Bounds for times of calls."""


class Buckets:
    """Counts of observations. To be added to by one thread at a time, and read by any.

    Parameters
    ----------
    bounds : sequence of float
        Upper, inclusive, ascending.

    Attributes
    ----------
    counts : list of int
        Observations by bound; the last is for those beyond all.
    total : float
        Sum of the observations.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count an observation."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def told(self) -> tuple[list[tuple[str, float]], float]:
        """Return cumulative counts by bound, and the total, as a HistogramMetricFamily takes them."""
        bounds = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        return list(zip(bounds, accumulate(self.counts), strict=True)), self.total

    def copy(self) -> Buckets:
        """Return a copy."""
        copied = Buckets(self._bounds)
        copied.counts, copied.total = list(self.counts), self.total
        return copied
