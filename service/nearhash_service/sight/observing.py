"""What is seen of every call: it is counted, timed, named in the log, told if slow, and traced if that is asked."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import cache
from time import perf_counter
from typing import Any

import grpc

from nearhash.v1 import lookup_pb2
from nearhash_service.interceptors import Handler, UnaryInterceptor
from nearhash_service.metrics.calls import CallCounts
from nearhash_service.sight.current_call import begin_call, current_call, end_call
from nearhash_service.sight.tracing import Tracing

__all__ = ["ObservingInterceptor"]

Answer = Callable[[Any, grpc.ServicerContext], Any]

_LOOKUPS = f"/{lookup_pb2.DESCRIPTOR.services_by_name['LookupService'].full_name}/"

_log = logging.getLogger(__name__)


class ObservingInterceptor(UnaryInterceptor):
    """Observes the calls of this project's services. It stands outside of what turns errors into statuses.

    Parameters
    ----------
    counts : CallCounts
    slow_call_s : float
        Lookups that take longer are logged.
    tracing : Tracing, optional
    """

    def __init__(self, counts: CallCounts, *, slow_call_s: float = math.inf, tracing: Tracing | None = None) -> None:
        super().__init__()
        self._counts = counts
        self._slow_call_s = slow_call_s
        self._tracing = tracing

    def wrap(self, method: str, handler: Handler) -> Handler:
        """Return a handler that is observed."""
        return grpc.unary_unary_rpc_method_handler(
            self._observed(handler.unary_unary, method),  # type: ignore[arg-type]
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _observed(self, answer: Answer, method: str) -> Answer:
        counts = self._counts.of(method)
        if self._tracing:
            answer = self._tracing.traced(answer, method)
        slow_s = self._slow_call_s if method.startswith(_LOOKUPS) else math.inf

        def call(request: Any, context: grpc.ServicerContext) -> Any:
            token = begin_call(method, context)
            counts.begin()
            begin_s = perf_counter()
            code = "OK"
            try:
                return answer(request, context)
            except Exception:
                code = _code_name(context.code())  # type: ignore[attr-defined]
                raise
            finally:
                took_s = perf_counter() - begin_s
                counts.end(code, took_s)
                if took_s > slow_s:
                    _log_slow(took_s, code)
                end_call(token)

        return call


def _log_slow(took_s: float, code: str) -> None:
    call = current_call()
    lookup = call.lookup if call else None
    what = f" of {lookup.query_count} {lookup.hash_type} hashes with {lookup.match_count} matches" if lookup else ""
    _log.warning("slow: a lookup%s took %.3f s, code %s", what, took_s, code)


@cache
def _code_name(code: grpc.StatusCode | None) -> str:
    """Return the name of the code that a call was ended with, as Go's metrics write it: NotFound."""
    return "Unknown" if code is None else "".join(word.capitalize() for word in code.name.split("_"))
