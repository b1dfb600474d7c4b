"""The worker processes: each dead one replaced, all of them exchanged one after the other on request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from time import monotonic

__all__ = ["Start", "Worker", "Workers"]

_FIRST_PAUSE_S, _MAX_PAUSE_S = 0.1, 5.0
"""Before one that died before it served is replaced."""

_log = logging.getLogger(__name__)


class Worker:
    """A worker process.

    Parameters
    ----------
    process : BaseProcess
        Started.
    connection : Connection
        It sends one message once it serves.
    """

    def __init__(self, process: BaseProcess, connection: Connection) -> None:
        self.process, self.connection = process, connection
        self.is_ready = False

    def listen(self) -> None:
        """Take notice if it says that it serves."""
        # Its end instead of a message: it died while starting, as the process will tell.
        with suppress(EOFError, ConnectionResetError):
            if not self.is_ready and self.connection.poll():
                self.connection.recv()
                self.is_ready = True

    def is_dead(self) -> bool:
        """Tell whether the process has ended; then the connection is closed."""
        if self.process.is_alive():
            return False
        self.connection.close()
        return True


Start = Callable[[int], Worker]
"""Starts a worker for a place, numbered from 0."""


@dataclass
class _Place:
    """One of the workers that there should be: who serves, who is to come, and who is about to go."""

    number: int
    worker: Worker | None = None
    successor: Worker | None = None
    leaving: Worker | None = None
    leave_until_s: float = 0.0
    start_at_s: float = 0.0
    pause_s: float = 0.0

    def processes(self) -> list[Worker]:
        return [worker for worker in (self.worker, self.successor, self.leaving) if worker]


class Workers:
    """Keeps a worker at each of some places.

    Parameters
    ----------
    start : callable
        Starts a worker for a place.
    count : int
        Places.
    drain_s : float
        A worker that has not ended so long after it was told to is killed.
    """

    def __init__(self, start: Start, count: int, drain_s: float) -> None:
        self._start, self._drain_s = start, drain_s
        self._places = [_Place(i) for i in range(count)]
        self._to_exchange: list[_Place] = []
        self._next_start: Start | None = None
        self.look_after()

    def are_ready(self) -> bool:
        """Tell whether all serve."""
        return all(place.worker is not None and place.worker.is_ready for place in self._places)

    def waitables(self) -> list[Connection | int]:
        """Return what to wait for until `look_after` has something to do."""
        workers = [worker for place in self._places for worker in place.processes()]
        starting = [worker.connection for worker in workers if not worker.is_ready]
        return [*starting, *(worker.process.sentinel for worker in workers)]

    def due_in_s(self) -> float | None:
        """Return when `look_after` has something to do in any case; None: never."""
        starts = [place.start_at_s for place in self._places if place.worker is None]
        kills = [place.leave_until_s for place in self._places if place.leaving]
        return max(0.0, min([*starts, *kills]) - monotonic()) if starts or kills else None

    def exchange(self, start: Start) -> None:
        """Exchange all workers for new ones, one after the other: each serves before its predecessor is told to end.

        If a new one dies before it serves, the old ones that are left stay.
        """
        self._next_start = start
        self._to_exchange = list(self._places)

    def look_after(self) -> None:
        """Do what has become due."""
        for place in self._places:
            for worker in place.processes():
                worker.listen()
            self._look_after_leaving(place)
            self._look_after_successor(place)
            self._look_after_worker(place)
        self._exchange_next()

    def stop(self) -> None:
        """Let all workers end their calls, and end."""
        workers = [worker for place in self._places for worker in place.processes()]
        for worker in workers:
            worker.process.terminate()
        deadline_s = monotonic() + self._drain_s
        for worker in workers:
            worker.process.join(max(0.0, deadline_s - monotonic()))
            if worker.process.is_alive():
                _kill(worker)
                worker.process.join()

    def _look_after_leaving(self, place: _Place) -> None:
        if place.leaving is None:
            return
        if place.leaving.is_dead():
            place.leaving = None
        elif monotonic() > place.leave_until_s:
            _kill(place.leaving)
            place.leave_until_s = float("inf")

    def _look_after_successor(self, place: _Place) -> None:
        successor = place.successor
        if successor is None:
            return
        if successor.is_ready:
            place.leaving, place.worker, place.successor = place.worker, successor, None
            place.leave_until_s = monotonic() + self._drain_s
            if place.leaving:
                place.leaving.process.terminate()
            # Whoever is to be started from now on is a new one, too.
            self._start = self._next_start or self._start
        elif successor.is_dead():
            place.successor = None
            self._to_exchange, self._next_start = [], None
            _log.error("the new worker ended with %s before it served; the old ones stay", successor.process.exitcode)

    def _look_after_worker(self, place: _Place) -> None:
        worker = place.worker
        if worker is not None and worker.is_dead():
            # One that served is replaced at once: to start takes long enough.
            place.pause_s = 0.0 if worker.is_ready else min(_MAX_PAUSE_S, place.pause_s * 2 + _FIRST_PAUSE_S)
            place.worker, place.start_at_s = None, monotonic() + place.pause_s
            _log.error("worker %d ended with %s; replaced", worker.process.pid, worker.process.exitcode)
        if place.worker is None and monotonic() >= place.start_at_s:
            place.worker = self._start(place.number)

    def _exchange_next(self) -> None:
        if self._next_start is None or any(place.successor or place.leaving for place in self._places):
            return
        if self._to_exchange:
            place = self._to_exchange.pop(0)
            place.successor = self._next_start(place.number)
        else:
            self._next_start = None
            _log.info("all workers are exchanged")


def _kill(worker: Worker) -> None:
    _log.error("worker %d did not drain in time; killed", worker.process.pid)
    worker.process.kill()
