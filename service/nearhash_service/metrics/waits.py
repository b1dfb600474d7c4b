"""How long calls wait for their turn."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from nearhash_service.metrics.buckets import SECONDS, Buckets

__all__ = ["Waits"]


class Waits(Collector):
    """Counts waits by what the calls waited in: a lane, or the turns of large lookups."""

    def __init__(self) -> None:
        self._lanes: dict[str, Buckets] = {}

    def of(self, lane: str) -> Buckets:
        """Return the waits in a lane."""
        return self._lanes.setdefault(lane, Buckets(SECONDS))

    def collect(self) -> Iterator[Metric]:
        """Yield the one family."""
        family = HistogramMetricFamily(
            "nearhash_lane_wait_seconds",
            "Time until a call's turn, by lane; in lane large, that of lookups beyond 4 ms, once they are read.",
            labels=["lane"],
        )
        for lane, waits in list(self._lanes.items()):
            family.add_metric([lane], *waits.told())
        yield family
