"""What a worker serves, as metrics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from nearhash_index.errors import NearHashIndexError
from nearhash_index.view import View
from nearhash_service.answering.served_view import ServedView

__all__ = ["ServedMetrics"]


class ServedMetrics(Collector):
    """Collects from the view that a worker answers from.

    Parameters
    ----------
    served : ServedView
    """

    def __init__(self, served: ServedView) -> None:
        self._served = served

    def collect(self) -> Iterator[Metric]:
        """Yield the families."""
        note = self._served.note()
        yield GaugeMetricFamily("nearhash_generation", "Generation served; 0: none yet.", note.generation)
        yield GaugeMetricFamily("nearhash_sequence", "Every change up to it is in answers.", note.sequence)
        yield GaugeMetricFamily("nearhash_delta_entries", "Entries added since the generation.", note.delta_entry_count)
        yield CounterMetricFamily("nearhash_reloads", "Generations put in service.", self._served.reload_count)
        yield GaugeMetricFamily(
            "nearhash_reload_refused",
            "1 while a newer generation is refused; the log and the status say why.",
            float(bool(note.reload_error)),
        )
        with suppress(NearHashIndexError):
            yield from self._of_view(self._served.get())

    def _of_view(self, view: View) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "nearhash_sequence_lag",
            "Changes read that are not in answers: beyond what a delta holds, or since a generation that is pinned.",
            self._served.read_sequence - view.sequence,
        )
        yield GaugeMetricFamily("nearhash_reload_seconds", "Time of the last reload.", self._served.last_reload_s)
        yield GaugeMetricFamily(
            "nearhash_changes_age_seconds",
            "Time since the change log was read: a withdrawal takes effect when it is read next.",
            self._served.changes_age_s(),
        )
        yield GaugeMetricFamily(
            "nearhash_delta_tombstones", "Entries of the generation that no longer match.", len(view.delta.tombstones)
        )
        yield GaugeMetricFamily(
            "nearhash_mapped_bytes", "Size of the generation's memory map.", view.generation.manifest.data_size_bytes
        )
