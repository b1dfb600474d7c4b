"""Processes that do no more than workers must: say that they serve, and end when told."""

import logging
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from multiprocessing.connection import wait
from time import monotonic

from nearhash_service.processes.workers import Start, Worker, Workers

from .running import alive

DRAIN_S = 1.0
STEADY = "connection.send('ready'); import signal; signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + STEADY
FAILING = "raise SystemExit(3)"


class Started:
    """Starts processes that run some code, and remembers them."""

    def __init__(self, code: str) -> None:
        self.workers: list[Worker] = []
        self.starts_s: list[float] = []
        self._code = code

    def __call__(self, place: int) -> Worker:
        del place
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=exec, args=(self._code, {"connection": theirs}))
        process.start()
        theirs.close()
        self.workers.append(Worker(process, ours))
        self.starts_s.append(monotonic())
        return self.workers[-1]

    def alive(self) -> list[bool]:
        return [alive(worker.process.pid) for worker in self.workers]


@contextmanager
def running(start: Start, count: int) -> Iterator[Workers]:
    workers = Workers(start, count, DRAIN_S)
    try:
        yield workers
    finally:
        workers.stop()


def look_after(workers: Workers, until, within_s: float = 30.0) -> None:
    """Do as the supervisor does, until something is true."""
    deadline_s = monotonic() + within_s
    while not until():
        assert monotonic() < deadline_s
        due_s = workers.due_in_s()
        wait(workers.waitables(), timeout=0.2 if due_s is None else min(due_s, 0.2))
        workers.look_after()


def test_one_that_dies_before_it_serves_is_replaced_after_growing_pauses(caplog):
    failing = Started(FAILING)
    with running(failing, 1) as workers:
        look_after(workers, lambda: len(failing.workers) == 4)
        assert not workers.are_ready()
    pauses = [later - earlier for earlier, later in pairwise(failing.starts_s)]
    # Beside the time that such a process lives.
    assert pauses[0] >= 0.1
    assert pauses[1] >= 0.3
    assert 0.7 <= pauses[2] < 5
    assert caplog.text.count("ended with 3; replaced") >= 3


def test_all_are_exchanged_one_after_the_other_and_none_ends_before_its_successor_serves(caplog):
    caplog.set_level(logging.INFO)
    old, new = Started(STEADY), Started(STEADY)
    with running(old, 2) as workers:
        look_after(workers, workers.are_ready)
        workers.exchange(new)
        while "all workers are exchanged" not in caplog.text:
            serving = sum(old.alive()) + sum(worker.is_ready for worker in new.workers)
            assert serving >= 2
            look_after(workers, lambda: True)
            wait(workers.waitables(), timeout=0.2)
            workers.look_after()
        assert workers.are_ready()
        assert old.alive() == [False, False]
        assert new.alive() == [True, True]
        # What dies from now on is replaced by a new one.
        new.workers[0].process.kill()
        killed_s = monotonic()
        look_after(workers, lambda: len(new.workers) == 3 and workers.are_ready())
        assert new.starts_s[2] - killed_s < 0.3
    assert new.alive() == [False] * 3


def test_if_a_new_one_does_not_start_the_old_ones_stay(caplog):
    old, new = Started(STEADY), Started(FAILING)
    with running(old, 2) as workers:
        look_after(workers, workers.are_ready)
        workers.exchange(new)
        look_after(workers, lambda: "the old ones stay" in caplog.text)
        assert old.alive() == [True, True]
        assert len(new.workers) == 1
        old.workers[0].process.kill()
        look_after(workers, lambda: len(old.workers) == 3 and workers.are_ready())
    assert len(new.workers) == 1


def test_one_that_does_not_drain_in_time_is_killed(caplog):
    old, new = Started(STUBBORN), Started(STEADY)
    with running(old, 1) as workers:
        look_after(workers, workers.are_ready)
        workers.exchange(new)
        look_after(workers, lambda: new.workers and not any(old.alive()))
        assert workers.are_ready()
    assert caplog.text.count("did not drain in time; killed") == 1


def test_stop_kills_what_does_not_end():
    stubborn = Started(STUBBORN)
    with running(stubborn, 2) as workers:
        look_after(workers, workers.are_ready)
        begin_s = monotonic()
    assert DRAIN_S <= monotonic() - begin_s < DRAIN_S + 3
    assert stubborn.alive() == [False, False]
