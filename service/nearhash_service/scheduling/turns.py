"""Turns of large lookups: a few work at a time, and the others wait for theirs, in order.

Once more come than can be answered, to wait would make all of them late. Then only so many may wait as work, and the
others are refused at once, which costs little: what is still answered is answered soon. When the overload is over, more
may wait again.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from prometheus_client import Counter

from nearhash_service.errors import Overloaded
from nearhash_service.metrics.buckets import Buckets
from nearhash_service.scheduling.call_pool import CallPool
from nearhash_service.scheduling.overload import Overload

__all__ = ["Turns"]

_ALWAYS_WAIT = 16
"""So many may wait whatever they cost: a single caller has several under way, and nobody else may be there."""
_QUIET_S = 1.0
"""Without a refusal, after which more may wait again."""
_LOOK_EVERY_S = 0.1


class Turns:
    """Gives turns to the large lookups of a pool.

    Parameters
    ----------
    pool : CallPool
        Whose threads ask for turns. Another one takes the place of each until its turn is over.
    at_once : int
        Turns at a time.
    most_wait_s : float
        Estimated time of the lookups that wait, beyond which there is overload.
    waits : Buckets
        Counts the times until turns.
    refused : Counter
    """

    def __init__(self, pool: CallPool, at_once: int, most_wait_s: float, waits: Buckets, refused: Counter) -> None:
        self._pool, self._at_once, self._most_wait_s = pool, at_once, most_wait_s
        self._waits, self._refused = waits, refused
        self._lock = threading.Lock()
        self._waiting: deque[_Waiting] = deque()
        self._waiting_s = 0.0
        self._working = 0
        self._overload = Overload(_QUIET_S)

    def count(self) -> int:
        """Return how many have a turn or wait for one."""
        return self._working + len(self._waiting)

    @contextmanager
    def turn(self, cost_s: float, check_wanted: Callable[[], None]) -> Iterator[None]:
        """Wait for a turn, and have it meanwhile.

        Parameters
        ----------
        cost_s : float
            Estimated time of the lookup.
        check_wanted : callable
            Asked while waiting; raises if the lookup is to be given up.

        Raises
        ------
        Overloaded
            If too much waits.
        """
        self._check_room()
        with self._pool.set_aside():
            self._wait(_Waiting(cost_s), check_wanted)
            try:
                yield
            finally:
                self._leave()

    def _check_room(self) -> None:
        """Refuse one that comes while there is overload, before a thread is started in its place."""
        with self._lock:
            now_s = monotonic()
            if len(self._waiting) < self._at_once or not self._overload.is_on(now_s):
                return
            self._overload.go_on(now_s)
            wait_s = self._waiting_s
        raise self._overloaded(wait_s)

    def _wait(self, waiting: _Waiting, check_wanted: Callable[[], None]) -> None:
        with self._lock:
            self._waiting.append(waiting)
            self._waiting_s += waiting.cost_s
            if len(self._waiting) > _ALWAYS_WAIT and self._is_too_much():
                self._begin_overload()
            self._give_turns()
        try:
            while not waiting.decided.wait(_LOOK_EVERY_S):
                check_wanted()
        except BaseException:
            self._give_up(waiting)
            raise
        if waiting.refused_for_s is not None:
            raise self._overloaded(waiting.refused_for_s)

    def _is_too_much(self) -> bool:
        """Tell whether more than a few are too many. Lock held by caller."""
        return self._waiting_s > self._most_wait_s or self._overload.has_just_ended(monotonic())

    def _begin_overload(self) -> None:
        """Refuse those that have waited for longest, until so many wait as work. Lock held by caller."""
        self._overload.begin(monotonic())
        while len(self._waiting) > self._at_once:
            refused = self._take(self._waiting[0])
            refused.refused_for_s = self._waiting_s
            refused.decided.set()

    def _overloaded(self, wait_s: float) -> Overloaded:
        self._refused.inc()
        return Overloaded("too many large lookups wait for their turn here", wait_s)

    def _leave(self) -> None:
        with self._lock:
            self._working -= 1
            self._give_turns()

    def _give_up(self, waiting: _Waiting) -> None:
        with self._lock:
            if not waiting.decided.is_set():
                self._take(waiting)
                return
        if waiting.refused_for_s is None:
            self._leave()

    def _give_turns(self) -> None:
        """Give the turns that are free. Lock held by caller."""
        while self._waiting and self._working < self._at_once:
            chosen = self._take(self._waiting[0])
            self._working += 1
            self._waits.add(monotonic() - chosen.since_s)
            chosen.decided.set()

    def _take(self, waiting: _Waiting) -> _Waiting:
        """Take one out of those that wait. Lock held by caller."""
        self._waiting.remove(waiting)
        self._waiting_s -= waiting.cost_s
        return waiting


class _Waiting:
    """A lookup that waits.

    Attributes
    ----------
    decided : Event
        Set once it has a turn, or is refused.
    refused_for_s : float, optional
        What would have had to be waited for, if it is refused.
    """

    def __init__(self, cost_s: float) -> None:
        self.cost_s = cost_s
        self.since_s = monotonic()
        self.decided = threading.Event()
        self.refused_for_s: float | None = None
