"""Adding up what processes counted."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import NamedTuple

from prometheus_client.core import Metric
from prometheus_client.registry import CollectorRegistry

__all__ = ["Snapshot", "Sums", "take_snapshot"]

_Key = tuple[str, tuple[tuple[str, str], ...]]
"""A sample's name and labels."""


class Snapshot(NamedTuple):
    """What one process had counted at one time.

    Attributes
    ----------
    own : list of Metric
        To be told apart by process.
    joint : list of Metric
        To be added up.
    """

    own: list[Metric]
    joint: list[Metric]


def take_snapshot(own: CollectorRegistry, joint: CollectorRegistry) -> Snapshot:
    """Collect the metrics of this process."""
    return Snapshot(list(own.collect()), list(joint.collect()))


class Sums:
    """Sums of samples by name and labels. Not for use by several threads."""

    def __init__(self) -> None:
        self._families: dict[str, Metric] = {}
        self._values: dict[str, dict[_Key, float]] = {}

    def copy(self) -> Sums:
        """Return sums that can be added to without changing these."""
        copied = Sums()
        copied._families = dict(self._families)
        copied._values = {name: dict(values) for name, values in self._values.items()}
        return copied

    def add(self, snapshot: Snapshot, worker: str, *, ended: bool = False) -> None:
        """Add what a worker counted.

        Parameters
        ----------
        worker : str
            Value of the label that tells the worker's own metrics apart.
        ended : bool
            Leave out gauges: they told of a process that is no more.
        """
        for families, label in ((snapshot.own, {"worker": worker}), (snapshot.joint, {})):
            for family in families:
                if not (ended and family.type == "gauge"):
                    self._add_family(family, label)

    def _add_family(self, family: Metric, label: dict[str, str]) -> None:
        if family.name not in self._families:
            self._families[family.name] = _without_samples(family)
        values = self._values.setdefault(family.name, {})
        for sample in family.samples:
            key = sample.name, tuple({**sample.labels, **label}.items())
            values[key] = values.get(key, 0.0) + sample.value

    def metrics(self) -> Iterator[Metric]:
        """Yield the families with their sums."""
        for name, family in self._families.items():
            metric = _without_samples(family)
            for (sample_name, labels), value in self._values[name].items():
                metric.add_sample(sample_name, dict(labels), value)
            yield metric


def _without_samples(family: Metric) -> Metric:
    empty = copy(family)
    empty.samples = []
    return empty
