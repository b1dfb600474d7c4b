"""The cheapest calls that gRPC makes in Python: raw bytes, answered by a callback.

A call costs the generator 60 to 80 us of CPU; a tenth more with grpc.aio, and hardly less with a thread for every call
under way. The server needs more, so a generator with a core of its own loads a worker to its limit.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import grpc
from bench.load.latencies import Answers, together

LOOKUP = "/nearhash.v1.LookupService/Lookup"
# Connections of its own for each channel, and no second try that would hide a failure.
_OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
_LEAD_S = 1.5
"""Processes take about a second to start; then all begin at once."""


@dataclass(frozen=True)
class Calls:
    """What to call.

    Attributes
    ----------
    addresses : sequence of str
        HOST:PORT of each worker.
    method : str
    requests : sequence of bytes
        Serialised; sent in turn, over and over.
    deadline_s : float
        Of each call, from when it is sent.
    connections : int
        Of each process, shared out evenly over the addresses.
    cpus : sequence of int
        Cores for the generator, a process for each; more processes would only get into each other's way. Empty: all.
    """

    addresses: Sequence[str]
    method: str
    requests: Sequence[bytes]
    deadline_s: float = 5.0
    connections: int = 4
    cpus: Sequence[int] = ()

    @property
    def processes(self) -> int:
        """Number of processes that call."""
        return len(self.cpus) or os.cpu_count() or 1


class Caller:
    """Makes calls and notes what becomes of them.

    Attributes
    ----------
    sent : int
    outcomes : list of (status, latency in seconds)
        One for each call that has ended.
    """

    def __init__(self, calls: Calls, methods: Sequence[Any]) -> None:
        self._calls, self._methods = calls, methods
        self._lock = threading.Lock()
        self.sent = 0
        self.outcomes: list[tuple[str, float]] = []

    def send(self, due_s: float, on_answer: Callable[[], object] = lambda: None) -> None:
        """Send the next request; its latency counts from `due_s`."""

        def answered(call: Any) -> None:
            self.outcomes.append((call.code().name, time.monotonic() - due_s))
            on_answer()

        # A call may be sent from the callback of another, on a thread of gRPC.
        with self._lock:
            number = self.sent
            self.sent += 1
        request = self._calls.requests[number % len(self._calls.requests)]
        method = self._methods[number % len(self._methods)]
        method.future(request, timeout=self._calls.deadline_s).add_done_callback(answered)

    @property
    def waiting(self) -> int:
        """Calls that have not ended."""
        return self.sent - len(self.outcomes)


@contextmanager
def calling(calls: Calls) -> Iterator[Caller]:
    """Connect; at the end wait for the calls that are under way."""
    with ExitStack() as stack:
        channels = [
            stack.enter_context(grpc.insecure_channel(address, options=_OPTIONS))
            for address in islice(cycle(calls.addresses), calls.connections)
        ]
        for channel in channels:
            grpc.channel_ready_future(channel).result(timeout=10)
        caller = Caller(calls, [channel.unary_unary(calls.method) for channel in channels])
        yield caller
        end_s = time.monotonic() + calls.deadline_s + 1
        while caller.waiting and time.monotonic() < end_s:
            time.sleep(0.001)


def on_processes(send: Callable[..., Answers], calls: Calls, *arguments: Any) -> Answers:
    """Run `send(calls, part, begin_s, *arguments)` in each process; all begin at `begin_s` of the monotonic clock."""
    context = multiprocessing.get_context("spawn")
    begin_s = time.monotonic() + _LEAD_S
    with context.Pool(calls.processes, initializer=_pin, initargs=(calls.cpus,)) as pool:
        work = [(calls, part, begin_s, *arguments) for part in range(calls.processes)]
        parts = pool.starmap(send, work, chunksize=1)
    return together(parts, max(part.seconds for part in parts))


def answers(caller: Caller, seconds: float, cpu_s: float, unsent: int = 0) -> Answers:
    """Sum a process's calls up."""
    statuses = Counter(status for status, _ in caller.outcomes)
    statuses.update({"UNANSWERED": caller.waiting, "UNSENT": unsent})
    return Answers(seconds, +statuses, [latency_s for status, latency_s in caller.outcomes if status == "OK"], cpu_s)


def _pin(cpus: Sequence[int]) -> None:
    if cpus:
        os.sched_setaffinity(0, cpus)
