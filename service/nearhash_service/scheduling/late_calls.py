"""How many calls nobody waited for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from nearhash_service.scheduling.lanes import Lane

__all__ = ["LateCalls"]


class LateCalls(Collector):
    """Tells it of lanes."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        self._lanes = lanes

    def collect(self) -> Iterator[Metric]:
        """Yield the one family."""
        family = CounterMetricFamily(
            "nearhash_late", "Calls whose callers had given up when it was their turn, by lane.", labels=["lane"]
        )
        for lane in self._lanes:
            family.add_metric([lane.name], lane.pool.late_count)
        yield family
