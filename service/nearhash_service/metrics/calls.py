"""Counting and timing calls, under the names that gRPC's libraries in other languages use."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from itertools import accumulate
from time import perf_counter
from typing import Any

import grpc
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from nearhash_service.interceptors import Handler, UnaryInterceptor

__all__ = ["CallCounts", "MeasuringInterceptor"]

Answer = Callable[[Any, grpc.ServicerContext], Any]

_LABELS = ["grpc_type", "grpc_service", "grpc_method"]
_BOUNDS_S = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60)
"""Upper, inclusive."""


class CallCounts(Collector):
    """Counts and times calls, in half the time that prometheus_client's own counters would take."""

    def __init__(self) -> None:
        self._methods: dict[str, _MethodCounts] = {}

    def measured(self, answer: Answer, method: str) -> Answer:
        """Wrap what answers a unary method, so that its calls are counted and timed.

        Parameters
        ----------
        answer : callable
            Returns a response, or ends the call through the context.
        method : str
            As gRPC names it: "/package.Service/Method".
        """
        counts = self._methods.setdefault(method, _MethodCounts())

        def call(request: Any, context: grpc.ServicerContext) -> Any:
            counts.begin()
            begin_s = perf_counter()
            try:
                response = answer(request, context)
            except Exception:
                counts.end(_code_name(context), perf_counter() - begin_s)
                raise
            counts.end("OK", perf_counter() - begin_s)
            return response

        return call

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
            bounds = [*(str(float(bound)) for bound in _BOUNDS_S), "+Inf"]
            handling.add_metric(labels, list(zip(bounds, accumulate(now.buckets), strict=True)), now.seconds)
        yield from (started, handled, handling)


class _MethodCounts:
    """The counts of one method."""

    def __init__(self) -> None:
        self.started = 0
        self.codes = Tally({"OK": 0})
        self.buckets = [0] * (len(_BOUNDS_S) + 1)
        self.seconds = 0.0
        self._lock = threading.Lock()

    def begin(self) -> None:
        with self._lock:
            self.started += 1

    def end(self, code: str, seconds: float) -> None:
        bucket = bisect_left(_BOUNDS_S, seconds)
        with self._lock:
            self.codes[code] += 1
            self.buckets[bucket] += 1
            self.seconds += seconds

    def copy(self) -> _MethodCounts:
        copied = _MethodCounts()
        with self._lock:
            copied.started, copied.codes = self.started, Tally(self.codes)
            copied.buckets, copied.seconds = list(self.buckets), self.seconds
        return copied


class MeasuringInterceptor(UnaryInterceptor):
    """Counts and times the calls of this project's services.

    Parameters
    ----------
    counts : CallCounts
    """

    def __init__(self, counts: CallCounts) -> None:
        super().__init__()
        self._counts = counts

    def wrap(self, method: str, handler: Handler) -> Handler:
        """Return a handler that is counted."""
        return grpc.unary_unary_rpc_method_handler(
            self._counts.measured(handler.unary_unary, method),  # type: ignore[arg-type]
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


def _code_name(context: grpc.ServicerContext) -> str:
    """Return the name of the code that a call was ended with, as Go's metrics write it: NotFound."""
    code = context.code()  # type: ignore[attr-defined]
    return "Unknown" if code is None else "".join(word.capitalize() for word in code.name.split("_"))
