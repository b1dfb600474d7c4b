"""Lanes: kinds of calls, each with threads and a bounded queue of its own, so that none can occupy another's.

Cost is time of this process. A queue is bounded by the time until a call's turn comes: the calls that wait, times what
a call of the lane costs on average, as estimated from the hashes that each sends.

Small calls may be answered as fast as they are taken over from gRPC, and wait there, where nobody sees them. What shows
then is that callers have given up when it is their turn.
"""

from __future__ import annotations

import math
import os
from contextvars import ContextVar
from time import monotonic

from nearhash_service.config import AdmissionSection
from nearhash_service.metrics.buckets import Buckets
from nearhash_service.metrics.instruments import Instruments
from nearhash_service.scheduling.call_pool import CallPool
from nearhash_service.scheduling.overload import Overload
from nearhash_service.scheduling.turns import Turns

__all__ = ["CALL_COST_S", "Lane", "Lanes", "current_lane"]

CALL_COST_S = 120e-6
"""What gRPC costs in Python for a call, whatever it asks."""
_WEIGHT = 0.05
"""Of a call in the average."""
_MOST_TIMES = 8.0
"""Of the average, that a measured call counts at most: after one with thousands of matches come cheap ones again."""
_OVERLOADED_S = 0.1
"""After a refusal."""
_OVERLOADED_SHARE = 0.1
"""Of what else may wait: more would make everybody late who is answered at all."""
_ALWAYS_WAIT = 16
"""So many calls may wait as long as usual: a caller or two with some under way would keep the overload from ending."""
_SMALL_S = 0.0005
"""Of calls that cost less, most is Python's: several threads only keep the one that polls from its work."""
_MANY_LATE, _COUNTED_S = 20, 0.5
"""Callers who have given up, within so long: a few do so for reasons of their own."""
_QUIET_S = 1.0
"""Without such, or a refusal, after which calls are in time again."""
_MOST_WAITING_BYTES = 64 << 20
"""Of messages: until some large ones have been answered, a lane expects its calls to be as cheap as small ones."""
_ADMIN_THREADS = 4
_ADMIN_COST_S = 0.01
_ADMIN_WAIT_S = 1.0
_HEALTH_THREADS = 2

current_lane: ContextVar[Lane] = ContextVar("lane")
"""The lane of the call that this thread answers."""


class Lane:
    """A kind of calls.

    Parameters
    ----------
    name : str
    threads : int
        Calls answered at a time.
    most_wait_s : float
        Estimated time until a call's turn beyond which it is refused.
    waits : Buckets
        Counts the times until calls' turns.
    call_cost_s : float
        What a call costs, until calls tell.

    Attributes
    ----------
    pool : CallPool
    threads : int
    """

    def __init__(
        self, name: str, threads: int, most_wait_s: float, waits: Buckets, call_cost_s: float = CALL_COST_S
    ) -> None:
        self.name, self.threads = name, threads
        self.pool = CallPool(name, threads, waits)
        self._most_wait_s = most_wait_s
        self._call_cost_s = call_cost_s
        self._overloaded_until_s = -math.inf
        self._lateness = Overload(_QUIET_S)
        self._late_count = self._late_before = 0
        self._count_until_s = -math.inf
        self._is_overloaded = self._is_disturbed = False

    def wait_s(self) -> float:
        """Return the estimated time until the turn of a call that comes now."""
        # Threads share one interpreter: they do not drain the queue faster.
        return self.pool.waiting * self._call_cost_s

    def is_full(self) -> bool:
        """Tell whether a call that comes now would have to wait for too long, or beside too much."""
        if self._is_disturbed or self.pool.late_count != self._late_count:
            self._look_around(monotonic())
        is_strict = self._is_overloaded and self.pool.waiting > _ALWAYS_WAIT
        most_wait_s = self._most_wait_s * (_OVERLOADED_SHARE if is_strict else 1.0)
        if self.wait_s() <= most_wait_s and self.pool.waiting_bytes <= _MOST_WAITING_BYTES:
            return False
        now_s = monotonic()
        self._overloaded_until_s = now_s + _OVERLOADED_S
        if self._lateness.is_on(now_s):
            self._lateness.go_on(now_s)
        self._look_around(now_s)
        return True

    def _look_around(self, now_s: float) -> None:
        """Find out whether this lane refuses calls, or answers late, and use as many threads as serve it then."""
        self._is_overloaded = now_s <= self._overloaded_until_s
        is_late = self._lateness.is_on(now_s)
        if self._are_many_late(now_s):
            if is_late:
                self._lateness.go_on(now_s)
            else:
                self._lateness.begin(now_s)
                is_late = True
        self._is_disturbed = self._is_overloaded or is_late
        if is_late and self._call_cost_s < _SMALL_S:
            self.pool.use_threads(1)
        else:
            # The thread that refuses shares the interpreter with these, and falls behind beside more.
            self.pool.use_threads(-(-self.threads // 2) if self._is_overloaded else self.threads)

    def _are_many_late(self, now_s: float) -> bool:
        """Tell whether many callers, within a short time, did not wait for their turn."""
        if now_s > self._count_until_s:
            self._count_until_s, self._late_before = now_s + _COUNTED_S, self._late_count
        self._late_count = self.pool.late_count
        if self._late_count - self._late_before < _MANY_LATE:
            return False
        self._late_before = self._late_count
        return True

    def learn(self, cost_s: float) -> None:
        """Take what a call is expected to cost into the average."""
        self._call_cost_s += _WEIGHT * (cost_s - self._call_cost_s)

    def learn_measured(self, cost_s: float) -> None:
        """Take what a call turned out to cost into the average, so that one alone does not move it far."""
        self.learn(min(cost_s, _MOST_TIMES * self._call_cost_s))


class Lanes:
    """All lanes of a server.

    Parameters
    ----------
    section : AdmissionSection
    instruments : Instruments
        Count who waits and who is refused.

    Attributes
    ----------
    interactive, bulk : Lane
        Lookups: of uploads that wait for the answer, and of backfills that do not mind.
    large : Turns
        Of the interactive lookups that take long.
    admin : Lane
        BankService.
    health : Lane
        Never refused.
    """

    def __init__(self, section: AdmissionSection, instruments: Instruments) -> None:
        waits, refused = instruments.waits, instruments.refused
        self.interactive = Lane("interactive", section.threads, section.interactive_wait_s, waits.of("interactive"))
        # More than there are cores would only slow each other down.
        at_once = max(1, min(section.threads // 2, len(os.sched_getaffinity(0))))
        self.large = Turns(
            self.interactive.pool, at_once, section.large_wait_s, waits.of("large"), refused.labels("large")
        )
        self.bulk = Lane("bulk", section.bulk_threads, section.bulk_wait_s, waits.of("bulk"))
        self.admin = Lane("admin", _ADMIN_THREADS, _ADMIN_WAIT_S, waits.of("admin"), _ADMIN_COST_S)
        self.health = Lane("health", _HEALTH_THREADS, float("inf"), waits.of("health"))

    def all(self) -> tuple[Lane, ...]:
        """Return every lane."""
        return self.interactive, self.bulk, self.admin, self.health

    def working(self) -> tuple[Lane, ...]:
        """Return the lanes whose calls are let end before the server does."""
        return self.interactive, self.bulk, self.admin
