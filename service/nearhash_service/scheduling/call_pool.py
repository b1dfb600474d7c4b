"""Threads that answer calls: a few, and one more in place of each call that is set aside as it takes long."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from time import monotonic
from typing import Any, NamedTuple, ParamSpec, TypeVar

from nearhash_service.metrics.buckets import Buckets
from nearhash_service.scheduling.arrivals import Answer, Arrivals

__all__ = ["DONE", "CallPool"]

P = ParamSpec("P")
T = TypeVar("T")

DONE: Future[Any] = Future()
"""For gRPC, which counts the calls that a pool has not done: a future for each takes microseconds."""
DONE.set_result(None)

_MOST_SPARE = 4
"""Threads kept for the next calls that are set aside: a new one is slow at first, as is the memory it searches in."""

_log = logging.getLogger(__name__)


class _Call(NamedTuple):
    answer: Answer
    size_bytes: int
    epoch: int
    since_s: float


class CallPool(ThreadPoolExecutor):
    """Answers calls in the order in which their messages came.

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
        Calls whose message is here, and that no thread has taken yet.
    waiting_bytes : int
        What these messages take.
    thread_count : int
        Threads that answer calls, those with calls that are set aside among them.
    """

    def __init__(self, name: str, threads: int, waits: Buckets) -> None:
        super().__init__(1)
        self.waiting = self.waiting_bytes = 0
        self.thread_count = 0
        self._name, self._usual_count = name, threads
        self._spare_count, self._most_spare = 0, _MOST_SPARE
        self._called_back: SimpleQueue[None] = SimpleQueue()
        self._waits = waits
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._unfinished = [0, 0]
        self._aside = 0
        self._epoch = 0
        self._arrivals = Arrivals()
        self._add_threads(threads)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Answer a call as soon as its message is here and a thread is free."""
        epoch = self._epoch
        with self._lock:
            self._unfinished[epoch] += 1
        self._arrivals.await_message(partial(self._queue, epoch), partial(fn, *args, **kwargs))
        return DONE

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads once they have answered the calls that are here."""
        del wait, cancel_futures
        with self._lock:
            self._most_spare, spare = 0, self._spare_count
        self._add_threads(spare)
        for _ in range(self.thread_count):
            self._calls.put(None)

    def use_threads(self, count: int) -> None:
        """Answer so many calls at a time from now on."""
        if count == self._usual_count:
            return
        with self._lock:
            self._usual_count = count
            missing = count + self._aside - self.thread_count
        if missing > 0:
            self._add_threads(missing)

    @contextmanager
    def set_aside(self) -> Iterator[None]:
        """Let another thread answer calls in place of this one meanwhile."""
        with self._lock:
            self._aside += 1
            is_short = self.thread_count < self._usual_count + self._aside
        if is_short:
            self._add_threads(1)
        try:
            yield
        finally:
            with self._lock:
                self._aside -= 1

    @property
    def late_count(self) -> int:
        """Calls so far whose callers had given them up when it was their turn."""
        return self._arrivals.late_count

    def unfinished(self) -> int:
        """Return how many calls wait or are being answered."""
        return self._unfinished[0] + self._unfinished[1]

    def begin_epoch(self) -> None:
        """Tell calls from now on from those before. Once."""
        self._epoch = 1

    def unfinished_of_before(self) -> int:
        """Return how many calls from before the epoch are left."""
        return self._unfinished[0]

    def _queue(self, epoch: int, answer: Answer, size_bytes: int) -> None:
        with self._lock:
            self.waiting += 1
            self.waiting_bytes += size_bytes
        self._calls.put(_Call(answer, size_bytes, epoch, monotonic()))

    def _add_threads(self, count: int) -> None:
        with self._lock:
            self.thread_count += count
            spare = min(count, self._spare_count)
            self._spare_count -= spare
        for _ in range(spare):
            self._called_back.put(None)
        for _ in range(count - spare):
            threading.Thread(target=self._answer, name=self._name, daemon=True).start()

    def _answer(self) -> None:
        while (call := self._calls.get()) is not None:
            epoch = call.epoch
            with self._lock:
                self.waiting -= 1
                self.waiting_bytes -= call.size_bytes
                self._waits.add(monotonic() - call.since_s)
            try:
                call.answer()
            except BaseException:  # noqa: BLE001 - the thread is to live on
                _log.exception("A call failed in a way that gRPC does not know")
            # Or its arguments would live until the next one.
            del call
            with self._lock:
                self._unfinished[epoch] -= 1
                if self.thread_count <= self._usual_count + self._aside:
                    continue
                self.thread_count -= 1
                if self._spare_count >= self._most_spare:
                    return
                self._spare_count += 1
            self._called_back.get()
