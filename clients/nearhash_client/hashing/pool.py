"""Hashing in processes that are ended when they are late.

Decoders run on whatever strangers send: a small file can keep one busy for minutes, or crash it. Inside a process that
cannot be bounded; a process can.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from threading import Lock
from types import TracebackType
from typing import Any, Self, TypeVar

from pebble import CONSTS, ProcessExpired, ProcessPool
from PIL import Image

from .computing import ComputedHash, compute
from .errors import ImageError, ImageTooSlow

T = TypeVar("T")
R = TypeVar("R")

# A process that is killed while it takes an item leaves the pipe locked: whoever hashes would wait a minute for it.
CONSTS.channel_lock_timeout = 5.0
_LOOK_EVERY_S = 1.0


class HashingPool:
    """Hashes in processes of its own. One pool serves all threads of a process.

    Parameters
    ----------
    processes
        How many; None: one for each core.
    timeout_s
        Seconds for one file, from when its turn comes. A process that takes longer is killed, and replaced.
    """

    def __init__(self, processes: int | None = None, *, timeout_s: float = 60.0) -> None:
        self.processes = processes or len(os.sched_getaffinity(0))
        self.timeout_s = timeout_s
        self._pool = self._new_pool()
        self._replacing = Lock()
        self._closed = False

    def compute(
        self,
        source: str | os.PathLike[str] | bytes,
        hash_types: Sequence[str] = ("phash64", "pdq256"),
        **options: Any,
    ) -> tuple[ComputedHash, ...]:
        """Return what `compute` returns, and raise what it raises, but within the time.

        Raises
        ------
        ImageTooSlow
            If it takes longer than `timeout_s`.
        ImageError
            If the process died of it.
        """
        return self.run(partial(compute, hash_types=hash_types, **options), source)

    def run(self, function: Callable[[T], R], item: T) -> R:
        """Return a function's result, or raise its error, or the error that says that it was ended; see `map`."""
        (answer,) = self.map(function, [item])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R | Exception]:
        """Yield a function's results in the order of the items; where it raised, or was ended, the error.

        Few items are taken ahead, so that there may be any number of them.

        Parameters
        ----------
        function
            At the top level of a module, or a `functools.partial` of such a one.
        """
        waiting: deque[tuple[T, ProcessPool, Future[Any]]] = deque()
        for item in items:
            waiting.append((item, *self._scheduled(function, item)))
            if len(waiting) >= 4 * self.processes:
                yield _outcome(*waiting.popleft(), self.timeout_s)
        while waiting:
            yield _outcome(*waiting.popleft(), self.timeout_s)

    def close(self) -> None:
        """End the processes, whatever they do."""
        self._closed = True
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _new_pool(self) -> ProcessPool:
        # Spawned: the caller may have threads, gRPC's among them, which do not survive a fork.
        return ProcessPool(self.processes, initializer=_load, context=get_context("spawn"))

    def _scheduled(self, function: Callable[[T], R], item: T) -> tuple[ProcessPool, Future[Any]]:
        pool = self._pool
        try:
            return pool, pool.schedule(function, args=(item,), timeout=self.timeout_s)
        except RuntimeError:
            if self._closed:
                raise
        # A process that dies while it waits for work, by the system's hand when memory is short, breaks the whole pool.
        with self._replacing:
            if self._pool is pool:
                pool.stop()  # type: ignore[no-untyped-call]
                self._pool = self._new_pool()
        return self._scheduled(function, item)


def _outcome(item: object, pool: ProcessPool, future: Future[Any], timeout_s: float) -> Any:
    name = "<bytes>" if isinstance(item, bytes) else str(item)
    while not wait([future], _LOOK_EVERY_S).done:
        # What is given to a pool while it breaks, it forgets: it ends only those that it had begun to look at.
        if not pool.active and not wait([future], _LOOK_EVERY_S).done:
            return ImageError(f"{name}: the process that was to hash it died")
    try:
        return future.result()
    except TimeoutError:
        return ImageTooSlow(f"{name}: not hashed within timeout_s = {timeout_s}; its process was ended")
    except (ProcessExpired, BrokenProcessPool) as error:
        return ImageError(f"{name}: the process that hashed it died ({error})")
    except Exception as error:  # noqa: BLE001 - it is returned
        return error


def _load() -> None:
    """Load all that hashing needs, before a process's time runs."""
    compute(Image.new("RGB", (16, 16)), ("phash64", "whash64", "pdq256"))
