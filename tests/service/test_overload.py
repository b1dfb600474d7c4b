"""How long an overload lasts."""

from __future__ import annotations

import pytest

from nearhash_service.scheduling.overload import Overload

QUIET_S = 1.0


@pytest.fixture
def overload():
    return Overload(QUIET_S)


def end_s(overload: Overload, begin_s: float, *, refused_every_s: float = 0.1) -> float:
    """Begin an overload, refuse something again and again, and return when it has ended."""
    overload.begin(begin_s)
    now_s = begin_s
    while overload.is_on(now_s):
        overload.go_on(now_s)
        now_s += refused_every_s
    return now_s


def test_there_is_none_at_first(overload):
    assert not overload.is_on(0.0)


def test_it_ends_when_nothing_was_refused_for_a_while(overload):
    overload.begin(100.0)
    overload.go_on(100.7)
    assert [overload.is_on(now_s) for now_s in (100.0, 101.1, 101.7, 101.71)] == [True, True, True, False]


def test_it_ends_after_some_time_whatever_is_refused(overload):
    assert end_s(overload, 100.0) == pytest.approx(108.0, abs=0.2)


def test_each_that_begins_soon_after_lasts_for_twice_as_long_up_to_a_minute(overload):
    now_s, lasted_s = 100.0, []
    for _ in range(5):
        begin_s = now_s + 0.2
        now_s = end_s(overload, begin_s)
        lasted_s.append(now_s - begin_s)
    assert lasted_s == pytest.approx([8, 16, 32, 64, 64], abs=0.2)


def test_it_has_just_ended_for_as_long_as_it_lasted(overload):
    overload.begin(100.0)
    assert not overload.has_just_ended(101.5)
    now_s = end_s(overload, 200.0)
    assert [overload.has_just_ended(at_s) for at_s in (207.0, now_s, 215.9, 216.1)] == [False, True, True, False]


def test_one_that_begins_later_is_a_new_one(overload):
    now_s = end_s(overload, end_s(overload, 100.0) + 0.2)
    assert end_s(overload, now_s + 17.0) == pytest.approx(now_s + 17.0 + 8.0, abs=0.2)


def test_one_after_another_that_had_ended_by_itself_is_a_new_one(overload):
    end = end_s(overload, 100.0, refused_every_s=2.0)
    assert end == pytest.approx(102.0)
    assert end_s(overload, end + 0.2) == pytest.approx(end + 0.2 + 8.0, abs=0.2)
