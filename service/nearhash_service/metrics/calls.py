"""Counting and timing calls, under the names that gRPC's libraries in other languages use."""

from __future__ import annotations

import threading
from collections import Counter as Tally
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from nearhash_service.metrics.buckets import SECONDS, Buckets

__all__ = ["CallCounts", "MethodCounts"]

_LABELS = ["grpc_type", "grpc_service", "grpc_method"]


class CallCounts(Collector):
    """Counts and times calls."""

    def __init__(self) -> None:
        self._methods: dict[str, MethodCounts] = {}

    def of(self, method: str) -> MethodCounts:
        """Return the counts of a unary method, called as gRPC names it: "/package.Service/Method"."""
        counts = self._methods.get(method)
        # Two threads at once take the one that was there first.
        return counts or self._methods.setdefault(method, MethodCounts())

    def collect(self) -> Iterator[Metric]:
        """Yield the families of all calls."""
        started = CounterMetricFamily("grpc_server_started", "Calls begun.", labels=_LABELS)
        handled = CounterMetricFamily(
            "grpc_server_handled", "Calls ended, by status code.", labels=[*_LABELS, "grpc_code"]
        )
        handling = HistogramMetricFamily(
            "grpc_server_handling_seconds", "Time from a call's turn to its answer.", labels=_LABELS
        )
        for method, counts in list(self._methods.items()):
            _, service, name = method.split("/")
            labels = ["unary", service, name]
            now = counts.copy()
            started.add_metric(labels, now.started)
            for code, count in now.codes.items():
                handled.add_metric([*labels, code], count)
            handling.add_metric(labels, *now.times.told())
        yield from (started, handled, handling)


class MethodCounts:
    """The counts of one method.

    Attributes
    ----------
    started : int
    codes : Counter
        Calls ended, by the code's name in Go's spelling, such as "NotFound".
    times : Buckets
        Of calls that were not refused on arrival, in seconds.
    """

    def __init__(self) -> None:
        self.started = 0
        self.codes = Tally({"OK": 0})
        self.times = Buckets(SECONDS)
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Count a call that begins."""
        with self._lock:
            self.started += 1

    def end(self, code: str, seconds: float) -> None:
        """Count a call that ends."""
        with self._lock:
            self.codes[code] += 1
            self.times.add(seconds)

    def refuse(self, code: str) -> None:
        """Count a call that is refused on arrival."""
        with self._lock:
            self.started += 1
            self.codes[code] += 1

    def copy(self) -> MethodCounts:
        """Return the counts of one moment."""
        copied = MethodCounts()
        with self._lock:
            copied.started, copied.codes, copied.times = self.started, Tally(self.codes), self.times.copy()
        return copied
