"""When a lane is full."""

from __future__ import annotations

import pytest

from nearhash_service.metrics.buckets import SECONDS, Buckets
from nearhash_service.scheduling import lanes
from nearhash_service.scheduling.lanes import Lane

COST_S = 0.001


@pytest.fixture
def lane(monkeypatch):
    monkeypatch.setattr(lanes, "_OVERLOADED_S", 60.0)
    lane = Lane("calls", 1, 100 * COST_S, Buckets(SECONDS), COST_S)
    yield lane
    lane.pool.shutdown()


def is_full_with(lane: Lane, waiting: int) -> bool:
    lane.pool.waiting = waiting
    try:
        return lane.is_full()
    finally:
        lane.pool.waiting = 0


def test_so_much_may_wait_as_is_configured(lane):
    assert [is_full_with(lane, waiting) for waiting in (0, 11, 99, 101)] == [False, False, False, True]


def test_after_a_refusal_a_tenth_may_wait_until_nothing_was_refused_for_a_while(lane, monkeypatch):
    assert is_full_with(lane, 101)
    assert [is_full_with(lane, waiting) for waiting in (0, 9, 11, 99)] == [False, False, True, True]
    monkeypatch.setattr(lane, "_overloaded_until_s", 0.0)
    assert [is_full_with(lane, waiting) for waiting in (11, 99)] == [False, False]


def test_a_lane_learns_what_calls_cost(lane):
    for _ in range(200):
        lane.learn(10 * COST_S)
    assert [is_full_with(lane, waiting) for waiting in (9, 11)] == [False, True]
