"""How long a queue is taken in, before overload and while it lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from nearhash_service.metrics.buckets import SECONDS, Buckets
from nearhash_service.scheduling import lanes
from nearhash_service.scheduling.lanes import Lane

THREADS = 4
LONGEST = 50
"""Calls of a millisecond each that may wait in a lane."""


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(lanes, "monotonic", clock)
    return clock


@pytest.fixture
def make() -> Iterator[Callable[..., Lane]]:
    made = []

    def make_lane(*, sheds: bool) -> Lane:
        made.append(Lane("calls", THREADS, LONGEST / 1000, Buckets(SECONDS), 0.001, sheds=sheds))
        return made[-1]

    yield make_lane
    for lane in made:
        lane.pool.shutdown()


def refuses(lane: Lane, waiting: int) -> bool:
    lane.pool.waiting = waiting
    return lane.refuses()


@pytest.mark.parametrize("sheds", [True, False])
def test_a_burst_is_taken_in(make, sheds):
    lane = make(sheds=sheds)
    assert not any(refuses(lane, waiting) for waiting in range(LONGEST + 1))
    assert refuses(lane, LONGEST + 1)


def test_in_overload_only_as_many_wait_as_are_answered_at_a_time(make, clock):
    lane = make(sheds=True)
    assert refuses(lane, LONGEST + 1)
    for _ in range(100):
        clock.now_s += 0.01
        assert refuses(lane, THREADS)
        assert not refuses(lane, THREADS - 1)
        # A moment's luck is not the end of it.
        assert not refuses(lane, 0)
    assert lane.wait_s() == LONGEST / 1000


def test_it_is_over_when_a_call_finds_that_nobody_waits_and_none_was_refused_for_a_while(make, clock):
    lane = make(sheds=True)
    assert refuses(lane, LONGEST + 1)
    clock.now_s += 0.5
    assert refuses(lane, THREADS), "somebody waits still"
    clock.now_s += 0.5
    assert not refuses(lane, 0)
    assert not refuses(lane, LONGEST)


def test_where_nobody_waits_for_the_answer_the_queue_stays_long(make):
    lane = make(sheds=False)
    assert refuses(lane, LONGEST + 1)
    assert not refuses(lane, LONGEST)
