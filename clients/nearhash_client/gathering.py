"""Lookups of single hashes that go in one call together. Shared by both clients.

The first goes at once. While as many calls as allowed are under way, those that come wait, and go together in the next
one: the busier the server is, the larger are the calls. Each keeps its own deadline; the call has the latest.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import InvalidStateError
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, field
from functools import reduce
from typing import Protocol

from nearhash.v1 import lookup_pb2

from .answers import take_apart
from .deadline import Deadline
from .errors import Overloaded
from .requests import checked_int, checked_number, request_of
from .results import LookupResult


class Answer(Protocol):
    """Where a lookup waits: a future of `concurrent.futures` or of asyncio."""

    def done(self) -> bool:
        """Tell whether it is answered, or given up."""

    def set_result(self, result: LookupResult, /) -> None:
        """Answer it."""

    def set_exception(self, error: BaseException, /) -> None:
        """Fail it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One hash to look up.

    Attributes
    ----------
    packed
        Its bytes.
    deadline, answer
        Until when the caller waits, and where.
    since_s
        When it came, on the monotonic clock.
    """

    packed: bytes
    deadline: Deadline
    answer: Answer
    since_s: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class GatheredCall:
    """Lookups with equal terms that go in one call."""

    key: bytes
    lookups: list[Waiting]

    @property
    def request(self) -> lookup_pb2.LookupRequest:
        """What to send."""
        return request_of(self.key, b"".join(lookup.packed for lookup in self.lookups))

    @property
    def deadline(self) -> Deadline:
        """The latest of the lookups' deadlines."""
        return reduce(Deadline.later, (lookup.deadline for lookup in self.lookups))


@dataclass(slots=True)
class _Queue:
    """The lookups with one key."""

    waiting: deque[Waiting] = field(default_factory=deque)
    calls: int = 0


class Gatherer:
    """Decides which lookups go in a call, and when. Safe for threads.

    Parameters
    ----------
    send
        Begins a call, without waiting for its answer. It ends with `answered` or `failed`, in whatever thread.
    max_batch, max_concurrent_calls, max_waiting, max_delay_ms
        As given to the client. The calls are those with equal terms.

    Attributes
    ----------
    max_batch, max_concurrent_calls, max_delay_s

    Raises
    ------
    InvalidRequest
        If a parameter is wrong.
    """

    def __init__(
        self,
        send: Callable[[GatheredCall], None],
        *,
        max_batch: int,
        max_concurrent_calls: int,
        max_waiting: int,
        max_delay_ms: float,
    ) -> None:
        self._send = send
        self.max_batch = checked_int("max_batch", max_batch, 1, 2**31 - 1)
        self.max_concurrent_calls = checked_int("max_concurrent_calls", max_concurrent_calls, 1, 2**31 - 1)
        self._max_waiting = checked_int("max_waiting", max_waiting, 1, 2**31 - 1)
        self.max_delay_s = checked_number("max_delay_ms", max_delay_ms, 0, 60_000) / 1000
        self._lock = threading.Lock()
        self._queues: dict[bytes, _Queue] = {}
        self._waiting = 0

    def add(self, key: bytes, lookup: Waiting) -> None:
        """Queue a lookup, and begin a call if one may.

        With a `max_delay_s`, `begin` must be called when it has passed and the lookup is not answered yet.

        Raises
        ------
        Overloaded
            If `max_waiting` others wait.
        """
        with self._lock:
            if self._waiting >= self._max_waiting:
                raise Overloaded(f"{self._waiting} lookups wait in this client already; the server does not keep up")
            self._queues.setdefault(key, _Queue()).waiting.append(lookup)
            self._waiting += 1
        self.begin(key)

    def begin(self, key: bytes) -> None:
        """Begin a call, if lookups with this key wait and may go."""
        with self._lock:
            call = self._next(key)
        if call is not None:
            self._send(call)

    def answered(self, call: GatheredCall, response: lookup_pb2.LookupResponse) -> None:
        """Begin the next call and hand out an answer."""
        self._ended(call)
        for lookup, result in zip(call.lookups, take_apart(response, len(call.lookups)), strict=True):
            with suppress(InvalidStateError):  # given up in this moment
                if not lookup.answer.done():
                    lookup.answer.set_result(result)

    def failed(self, call: GatheredCall, error: Exception) -> None:
        """Begin the next call and fail each lookup with an error of its own: raising one changes it."""
        self._ended(call)
        for lookup in call.lookups:
            own = copy(error)
            own.__cause__ = error.__cause__
            with suppress(InvalidStateError):
                if not lookup.answer.done():
                    lookup.answer.set_exception(own)

    def _ended(self, call: GatheredCall) -> None:
        with self._lock:
            self._queues[call.key].calls -= 1
        self.begin(call.key)

    def _next(self, key: bytes) -> GatheredCall | None:
        """Return the next call, if one may begin. The lock is held by the caller."""
        queue = self._queues.get(key)
        if queue is None or queue.calls >= self.max_concurrent_calls or not self._may_go(queue):
            return None
        lookups: list[Waiting] = []
        while queue.waiting and len(lookups) < self.max_batch:
            lookup = queue.waiting.popleft()
            self._waiting -= 1
            if not lookup.answer.done():
                lookups.append(lookup)
        if lookups:
            queue.calls += 1
            return GatheredCall(key, lookups)
        if not queue.calls:
            del self._queues[key]
        return None

    def _may_go(self, queue: _Queue) -> bool:
        if not queue.waiting or len(queue.waiting) >= self.max_batch or not self.max_delay_s:
            return True
        return time.monotonic() - queue.waiting[0].since_s >= self.max_delay_s
