"""Threads that answer calls: a few, which work, and more only while some wait for what does not come.

gRPC hands a call over as soon as its headers are there, and the thread that takes it waits for its message. That is a
round through gRPC, or forever if the other side never sends one: a handful of such calls would occupy every thread. So
a pool under pressure starts a thread in place of each that waits like this, and in the end gives up the oldest of them.
A call that knows that it takes long is set aside, and another thread takes its place at once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from time import monotonic, sleep
from typing import Any, NamedTuple, ParamSpec, TypeVar

import grpc

from nearhash_service.metrics.buckets import Buckets

__all__ = ["CallPool"]

_LOOK_EVERY_S = 0.02
_PATIENCE_S = 0.05
"""A message that takes so long occupies a thread worth replacing."""
_MOST_REPLACED = 200
_MESSAGE_WITHIN_S = 10.0
"""While others wait, a call whose message takes longer is given up; or sooner, if `_MOST_REPLACED` threads wait."""

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger(__name__)


_DONE: Future[Any] = Future()
_DONE.set_result(None)


class _Call(NamedTuple):
    answer: Callable[[], object]
    epoch: int
    since_s: float


class CallPool(ThreadPoolExecutor):
    """Answers calls in the order in which they came.

    gRPC takes only what is a ThreadPoolExecutor; nothing of it is used but the type.

    Parameters
    ----------
    name : str
    threads : int
        Calls to answer at a time.
    waits : Buckets
        Counts for how long calls wait for a thread.

    Attributes
    ----------
    waiting : int
        Calls that no thread has taken yet.
    """

    def __init__(self, name: str, threads: int, waits: Buckets) -> None:
        super().__init__(1)
        self.waiting = 0
        self._name, self._usual_count, self._thread_count = name, threads, 0
        self._waits = waits
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._unfinished = [0, 0]
        self._aside = 0
        self._epoch = 0
        self._receiving: dict[grpc.ServicerContext, float] = {}
        self._pressed = threading.Event()
        self._closed = False
        self._add_threads(threads)
        threading.Thread(target=self._replace_while_pressed, name=f"{name}, replacing", daemon=True).start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Answer a call as soon as a thread is free.

        The future is done already: a true one takes microseconds, and gRPC would only count how many are not done.
        """
        epoch = self._epoch
        with self._lock:
            self._unfinished[epoch] += 1
            self.waiting += 1
        self._calls.put(_Call(partial(fn, *args, **kwargs), epoch, monotonic()))
        if self.unfinished() > self._thread_count:
            self._pressed.set()
        return _DONE

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads once they have answered the calls that are here."""
        del wait, cancel_futures
        self._closed = True
        self._pressed.set()
        for _ in range(self._thread_count):
            self._calls.put(None)

    def begin_receiving(self, context: grpc.ServicerContext) -> None:
        """Tell that this thread waits for the message of a call from now on."""
        self._receiving[context] = monotonic()

    def end_receiving(self, context: grpc.ServicerContext) -> None:
        """Tell that it does not wait any longer."""
        del self._receiving[context]

    @contextmanager
    def set_aside(self) -> Iterator[None]:
        """Let another thread answer calls in place of this one meanwhile."""
        with self._lock:
            self._aside += 1
            is_short = self._thread_count < self._usual_count + self._aside
        if is_short:
            self._add_threads(1)
        try:
            yield
        finally:
            with self._lock:
                self._aside -= 1

    def unfinished(self) -> int:
        """Return how many calls wait or are being answered."""
        return self._unfinished[0] + self._unfinished[1]

    def begin_epoch(self) -> None:
        """Tell calls from now on from those before. Once."""
        self._epoch = 1

    def unfinished_of_before(self) -> int:
        """Return how many calls from before the epoch are left."""
        return self._unfinished[0]

    def _add_threads(self, count: int) -> None:
        with self._lock:
            self._thread_count += count
        for _ in range(count):
            threading.Thread(target=self._answer, name=self._name, daemon=True).start()

    def _answer(self) -> None:
        while (call := self._calls.get()) is not None:
            epoch = call.epoch
            with self._lock:
                self.waiting -= 1
                self._waits.add(monotonic() - call.since_s)
            try:
                call.answer()
            except BaseException:  # noqa: BLE001 - the thread is to live on
                _log.exception("A call failed in a way that gRPC does not know")
            # Or its arguments would live until the next one.
            del call
            with self._lock:
                self._unfinished[epoch] -= 1
                if self._thread_count > self._usual_count + self._aside + len(self._receiving):
                    self._thread_count -= 1
                    return

    def _replace_while_pressed(self) -> None:
        while not self._closed:
            self._pressed.wait()
            self._pressed.clear()
            while self.waiting and not self._closed:
                sleep(_LOOK_EVERY_S)
                self._replace(monotonic())

    def _replace(self, now_s: float) -> None:
        """Start threads in place of those that wait for messages, and give up calls that took too long."""
        stuck = {call: begin_s for call, begin_s in self._receiving.copy().items() if now_s - begin_s > _PATIENCE_S}
        if not stuck or not self.waiting:
            return
        wanted = self._usual_count + self._aside + min(len(stuck), _MOST_REPLACED)
        self._add_threads(max(0, wanted - self._thread_count))
        late = [call for call, begin_s in stuck.items() if now_s - begin_s > _MESSAGE_WITHIN_S]
        given_up = list(stuck) if len(stuck) >= _MOST_REPLACED else late
        if given_up:
            _log.warning("gave up %d calls whose messages did not come", len(given_up))
        for call in given_up:
            call.cancel()
