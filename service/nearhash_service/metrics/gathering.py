"""The supervisor's side of metrics: asks every worker, adds up, and remembers what ended workers had counted."""

from __future__ import annotations

import multiprocessing
import select
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from multiprocessing.connection import Connection
from time import monotonic

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from nearhash_service.metrics.instruments import Instruments
from nearhash_service.metrics.reporting import Report
from nearhash_service.metrics.sums import Snapshot, Sums, take_snapshot

__all__ = ["GatheredMetrics"]

_PATIENCE_S = 1.0
"""A worker that does not answer so long is told of with the figures that it gave last."""


class GatheredMetrics(Collector):
    """Collects the metrics of the supervisor and of all workers.

    Workers are called 0, 1, 2, ...; a new one takes the lowest number that is free, and goes on counting where the one
    before it ended. So counters never go back. What a worker counted after it was asked last, and before it was
    killed, is lost.

    Parameters
    ----------
    instruments : Instruments
        The supervisor's own.
    """

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._lock = threading.Lock()
        self._links: dict[int, _Link] = {}
        self._ended = Sums()
        self._starts = 0
        self._crashes = 0

    def connect(self) -> Connection:
        """Return the end of a new pipe for a worker that is about to start; to be closed here once it has it."""
        ours, theirs = multiprocessing.Pipe()
        for link in list(self._links.values()):
            if link.has_ended():
                # Its number is free once its thread has noticed.
                link.noticed.wait(_PATIENCE_S)
        with self._lock:
            number = next(number for number in count() if number not in self._links)
            self._links[number] = _Link(ours)
            self._starts += 1
        threading.Thread(target=self._listen, args=(number,), name="metrics", daemon=True).start()
        return theirs

    def collect(self) -> Iterator[Metric]:
        """Ask all workers, and yield the families of all."""
        with self._lock:
            links = dict(self._links)
        deadline_s = monotonic() + _PATIENCE_S
        for link in links.values():
            link.ask()
        answered = [link.wait(deadline_s - monotonic()) for link in links.values()]
        with self._lock:
            sums = self._ended.copy()
            for number, link in self._links.items():
                if link.last is not None:
                    sums.add(link.last, str(number))
            starts, crashes = self._starts, self._crashes
        sums.add(take_snapshot(self._instruments.own, self._instruments.joint), "supervisor")
        yield from sums.metrics()
        yield GaugeMetricFamily(
            "nearhash_workers", "Workers that answered when asked for these figures.", sum(answered)
        )
        yield CounterMetricFamily("nearhash_worker_starts", "Workers started.", starts)
        yield CounterMetricFamily("nearhash_worker_crashes", "Workers that ended without having been told to.", crashes)

    def _listen(self, number: int) -> None:
        link = self._links[number]
        finished = link.listen()
        with self._lock:
            del self._links[number]
            if link.last is not None:
                self._ended.add(link.last, str(number), ended=True)
            self._crashes += not finished
        link.noticed.set()


class _Link:
    """The supervisor's end of a pipe to one worker.

    Attributes
    ----------
    last : Snapshot, optional
        What the worker told last; nothing before it serves.
    noticed : Event
        Set once its end has been taken into account.
    """

    def __init__(self, connection: Connection) -> None:
        self.last: Snapshot | None = None
        self.noticed = threading.Event()
        self._connection = connection
        # The number of a file that was just closed may be another one's: nobody may use it meanwhile.
        self._using = threading.Lock()
        self._answered = threading.Event()

    def has_ended(self) -> bool:
        """Tell whether the worker's end of the pipe is closed."""
        poll = select.poll()
        with self._using, suppress(OSError):  # this end is closed, too
            # Without asking for anything: a hang-up is told all the same, and a report that waits is not.
            poll.register(self._connection, 0)
            return bool(poll.poll(0))
        return True

    def ask(self) -> None:
        """Put a question, unless one is open, or the worker is still starting."""
        if self._answered.is_set():
            self._answered.clear()
            with self._using, suppress(OSError):
                self._connection.send_bytes(b"?")

    def wait(self, timeout_s: float) -> bool:
        """Wait for the answer; tell whether there is one."""
        return self.last is not None and self._answered.wait(max(0.0, timeout_s))

    def listen(self) -> bool:
        """Take reports until the worker has ended; tell whether it said goodbye."""
        finished = False
        with suppress(EOFError, OSError):
            while True:
                report: Report = self._connection.recv()
                self.last, last = report
                finished |= last
                self._answered.set()
        with self._using:
            self._connection.close()
        return finished
