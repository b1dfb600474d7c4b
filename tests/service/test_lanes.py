"""When a lane is full."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest

from nearhash_service.metrics.buckets import SECONDS, Buckets
from nearhash_service.scheduling import lanes
from nearhash_service.scheduling.lanes import Lane

from .pooled import submitted
from .running import eventually

COST_S = 0.001


@pytest.fixture
def lane(monkeypatch):
    monkeypatch.setattr(lanes, "_OVERLOADED_S", 60.0)
    lane = Lane("calls", 1, 1000 * COST_S, Buckets(SECONDS), COST_S)
    yield lane
    lane.pool.shutdown()


def is_full_with(lane: Lane, waiting: int) -> bool:
    lane.pool.waiting = waiting
    try:
        return lane.is_full()
    finally:
        lane.pool.waiting = 0


def test_so_much_may_wait_as_is_configured(lane):
    assert [is_full_with(lane, waiting) for waiting in (0, 110, 990, 1010)] == [False, False, False, True]


def test_after_a_refusal_a_tenth_may_wait_until_nothing_was_refused_for_a_while(lane, monkeypatch):
    assert is_full_with(lane, 1010)
    assert [is_full_with(lane, waiting) for waiting in (0, 90, 110, 990)] == [False, False, True, True]
    monkeypatch.setattr(lane, "_overloaded_until_s", -math.inf)
    assert [is_full_with(lane, waiting) for waiting in (110, 990)] == [False, False]


def test_while_it_refuses_half_of_its_threads_answer(monkeypatch):
    monkeypatch.setattr(lanes, "_OVERLOADED_S", 60.0)
    lane = Lane("calls", 4, 1000 * COST_S, Buckets(SECONDS), COST_S)

    def thread_count() -> int:
        submitted(lane.pool, divmod, 7, 2).result(10)
        return lane.pool.thread_count

    assert thread_count() == 4
    assert is_full_with(lane, 1010)
    eventually(lambda: thread_count() == 2)
    monkeypatch.setattr(lane, "_overloaded_until_s", -math.inf)
    assert not is_full_with(lane, 990)
    assert thread_count() == 4
    lane.pool.shutdown()


@pytest.fixture
def many_threads(monkeypatch) -> Iterator[Callable[[float], tuple[Lane, Callable[[], int]]]]:
    """Make a lane of four threads whose calls cost so much; it is returned with what counts its threads."""
    monkeypatch.setattr(lanes, "_QUIET_S", 60.0)
    made = []

    def make(cost_s: float) -> tuple[Lane, Callable[[], int]]:
        lane = Lane("calls", 4, 0.15, Buckets(SECONDS), cost_s)
        made.append(lane)

        def thread_count() -> int:
            submitted(lane.pool, divmod, 7, 2).result(10)
            return lane.pool.thread_count

        return lane, thread_count

    yield make
    for lane in made:
        lane.pool.shutdown()


def give_up(lane: Lane, count: int) -> None:
    """Let so many callers not wait for their turn."""
    lane.pool._arrivals.late_count += count
    assert not lane.is_full()


def test_one_thread_answers_small_calls_while_callers_do_not_wait_for_their_turn(many_threads, monkeypatch):
    lane, thread_count = many_threads(0.0002)
    give_up(lane, 19)
    assert thread_count() == 4
    give_up(lane, 1)
    eventually(lambda: thread_count() == 1)
    monkeypatch.setattr(lane._lateness, "_end_s", -math.inf)
    assert not lane.is_full()
    assert thread_count() == 4


def test_a_few_who_give_up_now_and_then_change_nothing(many_threads, monkeypatch):
    monkeypatch.setattr(lanes, "_COUNTED_S", -math.inf)
    lane, thread_count = many_threads(0.0002)
    for _ in range(10):
        give_up(lane, 19)
    assert thread_count() == 4


def test_calls_that_are_not_small_keep_their_threads(many_threads):
    lane, thread_count = many_threads(0.001)
    give_up(lane, 100)
    assert thread_count() == 4


def test_a_lane_with_too_much_to_keep_is_full(lane, monkeypatch):
    monkeypatch.setattr(lane.pool, "waiting_bytes", (64 << 20) + 1)
    assert lane.is_full()


def test_a_lane_learns_what_calls_cost(lane):
    for _ in range(200):
        lane.learn(10 * COST_S)
    assert [is_full_with(lane, waiting) for waiting in (90, 110)] == [False, True]


def test_a_call_that_took_long_alone_does_not_fill_a_lane_but_several_do(lane):
    lane.learn_measured(1000 * COST_S)
    assert not is_full_with(lane, 500)
    for _ in range(20):
        lane.learn_measured(1000 * COST_S)
    assert is_full_with(lane, 17)


def test_a_few_calls_are_no_overload(lane):
    for _ in range(200):
        lane.learn(50 * COST_S)
    assert [is_full_with(lane, waiting) for waiting in (19, 21, 17, 16)] == [False, True, True, False]
