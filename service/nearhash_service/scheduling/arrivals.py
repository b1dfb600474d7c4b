"""Calls as they arrive: no thread waits for their messages, and those that are refused cost little.

gRPC hands a call over as soon as its headers are there, and the thread that takes it asks for the message and waits.
That is two more changes of threads, a third of what a call costs; and a handful of callers who never send their message
would occupy all threads. So the message is asked for by the thread that polls gRPC, as soon as the call comes, and the
call is given to a thread once its message is here.

gRPC has no public way to do so. What is used of its own is looked at when this module is loaded: if a version of it is
made otherwise, calls go to threads at once, as gRPC means it, and a warning says so.
"""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import Any, TypeAlias

import grpc
from grpc import _server
from grpc._cython import cygrpc  # type: ignore[attr-defined]

__all__ = ["Answer", "Arrivals", "refuse_at_once"]

_MOST_AWAITED = 200
"""Messages may be large, and gRPC keeps what has come of each. Beyond it, the oldest call is given up."""
_TELL_EVERY_S = 1.0

Answer: TypeAlias = Callable[[], object]

_log = logging.getLogger(__name__)


def _is_known() -> bool:
    """Tell whether gRPC's server is made of what is used here."""
    parameters = {
        "_unary_response_in_pool": (
            "rpc_event",
            "state",
            "behavior",
            "argument_thunk",
            "request_deserializer",
            "response_serializer",
        ),
        "_receive_message": ("state", "call", "request_deserializer"),
        "_is_rpc_state_active": ("state",),
        "_abort": ("state", "call", "code", "details"),
    }
    try:
        signatures = {name: tuple(inspect.signature(getattr(_server, name)).parameters) for name in parameters}
        return signatures == parameters and bool(_server._RECEIVE_MESSAGE_TOKEN and cygrpc.ReceiveMessageOperation)
    except AttributeError:
        return False


_KNOWN = _is_known()
if not _KNOWN:
    _log.warning("This version of grpcio is not known: calls cost half as much again")


def refuse_at_once(submitted: Sequence[Any], status: grpc.Status) -> bool:
    """End a call that gRPC has given to a pool, if this version of it is known; tell whether it is.

    It spares what gRPC makes for a handler, and the exception by which that ends a call.
    """
    if not _KNOWN or submitted[:1] != (_server._unary_response_in_pool,):
        return False
    event, state = submitted[1:3]
    with state.condition:
        state.code, state.details = status.code, status.details.encode()
        state.trailing_metadata = status.trailing_metadata
        _server._abort(state, event.call, cygrpc.StatusCode.unknown, b"")
    return True


class Arrivals:
    """Awaits the messages of calls, in the thread that polls gRPC.

    Attributes
    ----------
    late_count : int
        Calls so far whose callers had gone, or did not wait any longer, when it was their turn.
    """

    def __init__(self) -> None:
        self.late_count = 0
        self._awaited: dict[Any, None] = {}
        self._given_up = 0
        self._told_s = -math.inf

    def await_message(self, then: Callable[[Answer, int], None], submitted: partial[Any]) -> None:
        """Await the message of a call.

        Parameters
        ----------
        then : callable
            Called with what answers the call, and the size of its message, once that is here or will not come any more.
        submitted : partial
            What gRPC has given to a pool. Anything but a unary call is passed on at once.
        """
        if not _KNOWN or submitted.args[:1] != (_server._unary_response_in_pool,):
            then(submitted, 0)
            return
        respond, event, state, behavior, ask, deserialize, serialize = submitted.args
        take = _server._receive_message(state, event.call, deserialize)

        def received(message_event: Any) -> Any:
            self._awaited.pop(event.call, None)
            finished = take(message_event)
            message, state.request = state.request, None
            # Where none has come, gRPC finds out why, and answers that.
            get = ask if message is None else partial(self._still_wanted, state, message)
            size_bytes = len(message) if isinstance(message, bytes) else 0
            then(partial(submitted.func, respond, event, state, behavior, get, deserialize, serialize), size_bytes)
            return finished

        self._awaited[event.call] = None
        event.call.start_server_batch((cygrpc.ReceiveMessageOperation(0),), received)
        state.due.add(_server._RECEIVE_MESSAGE_TOKEN)
        if len(self._awaited) > _MOST_AWAITED:
            self._give_up_oldest()

    def _still_wanted(self, state: Any, message: Any) -> Any:
        if _server._is_rpc_state_active(state):
            return message
        # By several threads: one that is not counted makes no difference.
        self.late_count += 1
        return None

    def _give_up_oldest(self) -> None:
        oldest = next(iter(self._awaited))
        del self._awaited[oldest]
        oldest.cancel()
        self._given_up += 1
        if monotonic() - self._told_s > _TELL_EVERY_S:
            _log.warning("%d calls given up so far whose messages did not come", self._given_up)
            self._told_s = monotonic()
