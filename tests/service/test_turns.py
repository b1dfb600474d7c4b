"""Large lookups one after the other, beside a pool whose other calls go on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from time import monotonic

import pytest
from prometheus_client import Counter

from nearhash_service.errors import Abandoned, Overloaded
from nearhash_service.metrics.buckets import SECONDS, Buckets
from nearhash_service.scheduling import turns as turns_module
from nearhash_service.scheduling.call_pool import CallPool
from nearhash_service.scheduling.turns import Turns

from .pooled import submitted
from .running import eventually

COST_S = 0.1


class Lookups:
    """Large lookups in a pool of two threads; each works until it is let end."""

    def __init__(self, *, at_once: int = 1, most_wait_s: float = 1.0) -> None:
        self.pool = CallPool("calls", 2, Buckets(SECONDS))
        self.waits = Buckets(SECONDS)
        self.refused = Counter("refused", "Refused.", registry=None)
        self.turns = Turns(self.pool, at_once, most_wait_s, self.waits, self.refused)
        self.order: list[int] = []
        self._at_once, self._ended = at_once, 0
        self._ends: dict[int, threading.Event] = {}
        self._futures: list[Future[None]] = []

    def send(self, number: int, check: Callable[[], None] = lambda: None) -> Future[None]:
        """Send one; it waits or works when this returns, or an older one has been refused."""
        self._ends[number] = threading.Event()

        def look_up() -> None:
            with self.turns.turn(COST_S, check):
                self.order.append(number)
                assert self._ends[number].wait(30)

        self._futures.append(submitted(self.pool, look_up))
        eventually(lambda: self._here() == len(self._futures), every_s=0.001)
        return self._futures[-1]

    def _here(self) -> int:
        return self.turns.count() + sum(future.done() for future in self._futures)

    def end(self, number: int) -> None:
        """Let one that works end, and wait until others work in its place."""
        self.all_work()
        assert number in self.order
        self._ends[number].set()
        self._ended += 1
        self.all_work()

    def all_work(self) -> None:
        """Wait until as many work as may."""
        eventually(
            lambda: len(self.order) - self._ended == min(self._at_once, self.turns.count()),
            every_s=0.001,
        )


@pytest.fixture
def make(monkeypatch):
    monkeypatch.setattr(turns_module, "_ALWAYS_WAIT", 3)
    made: list[Lookups] = []

    def make(**options: float) -> Lookups:
        made.append(Lookups(**options))
        return made[-1]

    yield make
    for lookups in made:
        lookups.pool.shutdown()


def test_they_work_in_order_so_many_at_a_time(make):
    lookups = make(at_once=2)
    futures = [lookups.send(i) for i in range(6)]
    lookups.all_work()
    assert lookups.turns.count() == 6
    for i in range(6):
        lookups.end(i)
    for future in futures:
        future.result(10)
    assert sorted(lookups.order[:2]) == [0, 1]
    assert lookups.order[2:] == [2, 3, 4, 5]
    assert lookups.turns.count() == 0
    assert sum(lookups.waits.counts) == 6


def test_other_calls_are_answered_meanwhile_and_the_threads_end_afterwards(make):
    lookups = make()
    futures = [lookups.send(i) for i in range(10)]
    for _ in range(20):
        assert submitted(lookups.pool, divmod, 7, 2).result(10) == (3, 1)
    assert lookups.pool.thread_count == 2 + 10
    for i in range(10):
        lookups.end(i)
    for future in futures:
        future.result(10)
    # One that is left over ends after its next call.
    eventually(lambda: submitted(lookups.pool, divmod, 7, 2).result(10) and lookups.pool.thread_count == 2)


def test_few_wait_whatever_they_cost(make):
    lookups = make(most_wait_s=0.001)
    futures = [lookups.send(i) for i in range(4)]
    for i in range(4):
        lookups.end(i)
    for future in futures:
        future.result(10)
    assert lookups.order == [0, 1, 2, 3]


def test_of_too_many_only_the_newest_wait_on_and_others_are_refused_at_once(make):
    lookups = make(most_wait_s=3.5 * COST_S)
    futures = [lookups.send(i) for i in range(5)]
    # One works, and one more may wait now.
    for future in futures[1:4]:
        with pytest.raises(
            Overloaded, match="too many large lookups wait for their turn here; try again in 0"
        ) as refused:
            future.result(10)
        assert refused.value.retry_after_s >= COST_S
    for i in (5, 6):
        quiet_at_s = lookups.turns._overload._quiet_at_s
        with pytest.raises(Overloaded):
            lookups.send(i).result(10)
        assert lookups.turns._overload._quiet_at_s > quiet_at_s
    lookups.end(0)
    futures.append(lookups.send(7))
    lookups.end(4)
    lookups.end(7)
    for i in (0, 4, -1):
        futures[i].result(10)
    assert lookups.order == [0, 4, 7]
    assert lookups.turns.count() == 0
    assert lookups.refused.collect()[0].samples[0].value == 5


def test_more_may_wait_again_some_time_after_the_last_refusal(make, monkeypatch):
    monkeypatch.setattr(turns_module, "_QUIET_S", 0.0)
    lookups = make(most_wait_s=3.5 * COST_S)
    futures = [lookups.send(i) for i in range(5)]
    with pytest.raises(Overloaded):
        futures[1].result(10)
    futures += [lookups.send(i) for i in (5, 6)]
    for i in (0, 4, 5, 6):
        lookups.end(i)
        futures[i].result(10)
    assert lookups.order == [0, 4, 5, 6]


def test_after_one_that_had_to_be_ended_less_is_too_much(make, monkeypatch):
    lookups = make(most_wait_s=100 * COST_S)
    just_now_s = monotonic() - 0.1
    monkeypatch.setattr(lookups.turns._overload, "_end_s", just_now_s)
    monkeypatch.setattr(lookups.turns._overload, "_quiet_at_s", just_now_s)
    futures = [lookups.send(i) for i in range(5)]
    for future in futures[1:4]:
        with pytest.raises(Overloaded):
            future.result(10)
    for i in (0, 4):
        lookups.end(i)
        futures[i].result(10)


def test_one_that_is_not_wanted_any_more_gives_its_place_up(make):
    lookups = make()
    gone = threading.Event()

    def check() -> None:
        if gone.is_set():
            raise Abandoned("the caller has gone")

    first, abandoned, third = lookups.send(0), lookups.send(1, check), lookups.send(2)
    gone.set()
    with pytest.raises(Abandoned):
        abandoned.result(10)
    assert lookups.turns.count() == 2
    lookups.end(0)
    lookups.end(2)
    first.result(10)
    third.result(10)
    assert lookups.order == [0, 2]
    assert lookups.turns.count() == 0


def test_a_lookup_that_fails_ends_its_turn(make):
    lookups = make()

    def fail() -> None:
        with lookups.turns.turn(COST_S, lambda: None):
            raise ZeroDivisionError

    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            submitted(lookups.pool, fail).result(10)
    assert lookups.turns.count() == 0
