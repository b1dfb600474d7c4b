"""Reception: where calls arrive, before anything of their messages is read.

A call goes to the threads of its lane, or is refused: at once, and by the thread that polls gRPC, so that a refusal
costs a third of a call and needs no thread that is busy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any, ParamSpec, TypeAlias, TypeVar

import grpc
from google.rpc import code_pb2
from prometheus_client import Counter

from nearhash_service.access.rights import ROLES
from nearhash_service.errors import Overloaded
from nearhash_service.metrics.calls import CallCounts
from nearhash_service.scheduling.arrivals import refuse_at_once
from nearhash_service.scheduling.call_pool import DONE
from nearhash_service.scheduling.lanes import Lane, Lanes, current_lane
from nearhash_service.status import refusal

__all__ = ["PRIORITY", "Reception"]

PRIORITY = "nearhash-priority"
"""The metadata by which a caller tells the lane of a lookup: "interactive", as by default, or "bulk"."""
_LOOKUP = "/nearhash.v1.LookupService/Lookup"
_OURS = "/nearhash."
_LONGEST_WAIT_S = 60.0
"""That is told; nobody knows what is in a minute."""

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
P = ParamSpec("P")
T = TypeVar("T")


class Reception(grpc.ServerInterceptor):
    """Sends calls to their lanes. The outermost interceptor.

    Parameters
    ----------
    lanes : Lanes
    refused : Counter
        Counts refusals by lane.
    calls : CallCounts
        Counts them among all calls.
    """

    def __init__(self, lanes: Lanes, refused: Counter, calls: CallCounts) -> None:
        self._lanes, self._calls = lanes, calls
        self._refused = {lane.name: refused.labels(lane.name) for lane in lanes.working()}
        self._handlers: dict[tuple[str, str], Handler] = {}
        self._draining = False

    def drain(self) -> None:
        """Refuse every call from now on but of health, in a way that lets clients try again elsewhere."""
        self._draining = True

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return what answers the call on the threads of its lane, or what refuses it."""
        method = handler_call_details.method
        lane = self._lane(handler_call_details)
        if lane is None:
            self._count_refusal(method, "InvalidArgument")
            return _UNKNOWN_PRIORITY
        if lane is not self._lanes.health:
            if self._draining:
                self._count_refusal(method, "Unavailable")
                return _DRAINING
            if lane.is_full():
                self._refused[lane.name].inc()
                self._count_refusal(method, "ResourceExhausted")
                return _overloaded(lane)
        handler = self._handlers.get((method, lane.name))
        if handler is None:
            handler = continuation(handler_call_details)
            if handler is None or handler.request_streaming or handler.response_streaming:
                return handler
            handler = self._handlers[method, lane.name] = _on_lane(handler, lane)
        return handler

    def _count_refusal(self, method: str, code: str) -> None:
        # Not whatever name a stranger makes up.
        if method in ROLES:
            self._calls.of(method).refuse(code)

    def _lane(self, details: grpc.HandlerCallDetails) -> Lane | None:
        method = details.method
        if method == _LOOKUP:
            for key, value in details.invocation_metadata:
                if key == PRIORITY:
                    return {"interactive": self._lanes.interactive, "bulk": self._lanes.bulk}.get(str(value))
            return self._lanes.interactive
        return self._lanes.admin if method.startswith(_OURS) else self._lanes.health


def _on_lane(handler: Handler, lane: Lane) -> Handler:
    """Return a handler whose calls are answered on the threads of the lane."""
    answer = handler.unary_unary
    assert answer is not None  # noqa: S101 - the caller has looked

    def answer_on_lane(message: Any, context: grpc.ServicerContext) -> Any:
        current_lane.set(lane)
        return answer(message, context)

    answer_on_lane.experimental_thread_pool = lane.pool  # type: ignore[attr-defined]
    return grpc.unary_unary_rpc_method_handler(
        answer_on_lane,
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )


class _Refusing(ThreadPoolExecutor):
    """Refuses what it is given, in the thread that gives it. gRPC takes only what is a ThreadPoolExecutor."""

    def __init__(self, status: grpc.Status) -> None:
        super().__init__(1)
        self._status = status

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        if not refuse_at_once(args, self._status):
            fn(*args, **kwargs)
        return DONE


@lru_cache
def _refusal(code: int, message: str, retry_after_s: float | None = None) -> Handler:
    status = refusal(code, message, retry_after_s)

    def refuse(messages: Iterator[Any], context: grpc.ServicerContext) -> None:
        del messages
        context.abort_with_status(status)

    refuse.experimental_thread_pool = _Refusing(status)  # type: ignore[attr-defined]
    return grpc.stream_unary_rpc_method_handler(refuse)


def _overloaded(lane: Lane) -> Handler:
    error = Overloaded(f"too many {lane.name} calls wait for their turn here", min(lane.wait_s(), _LONGEST_WAIT_S))
    return _refusal(code_pb2.RESOURCE_EXHAUSTED, str(error), error.retry_after_s)


_DRAINING = _refusal(code_pb2.UNAVAILABLE, "this process is about to end; try again, and another one answers")
_UNKNOWN_PRIORITY = _refusal(code_pb2.INVALID_ARGUMENT, f"metadata {PRIORITY}: unknown; use interactive or bulk")
