"""When a lane is full."""

from __future__ import annotations

import threading

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
    monkeypatch.setattr(lane, "_overloaded_until_s", 0.0)
    assert [is_full_with(lane, waiting) for waiting in (110, 990)] == [False, False]


def test_while_it_refuses_half_of_its_threads_answer(monkeypatch, request):
    monkeypatch.setattr(lanes, "_OVERLOADED_S", 60.0)
    name = request.node.name
    lane = Lane(name, 4, 1000 * COST_S, Buckets(SECONDS), COST_S)

    def thread_count() -> int:
        submitted(lane.pool, divmod, 7, 2).result(10)
        return sum(thread.name == name for thread in threading.enumerate())

    assert thread_count() == 4
    assert is_full_with(lane, 1010)
    eventually(lambda: thread_count() == 2)
    monkeypatch.setattr(lane, "_overloaded_until_s", 0.0)
    assert not is_full_with(lane, 990)
    assert thread_count() == 4
    lane.pool.shutdown()


def test_a_lane_with_too_much_to_keep_is_full(lane, monkeypatch):
    monkeypatch.setattr(lane.pool, "waiting_bytes", (64 << 20) + 1)
    assert lane.is_full()


def test_a_lane_learns_what_calls_cost(lane):
    for _ in range(200):
        lane.learn(10 * COST_S)
    assert [is_full_with(lane, waiting) for waiting in (90, 110)] == [False, True]


def test_a_few_calls_are_no_overload(lane):
    for _ in range(200):
        lane.learn(50 * COST_S)
    assert [is_full_with(lane, waiting) for waiting in (19, 21, 17, 16)] == [False, True, True, False]
