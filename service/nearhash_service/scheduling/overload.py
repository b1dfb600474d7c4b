"""How long an overload lasts: until nothing had to be refused for a while.

Callers who try again as soon as they are refused would keep it from ending, even those who are few enough to be let in.
So it ends after some seconds in any case. If that was too early, the next one lasts for twice as long.
"""

from __future__ import annotations

import math

__all__ = ["Overload"]

_FIRST_S, _LONGEST_S = 8.0, 64.0
"""Some are late, and some refused after they have waited, each time that it begins."""


class Overload:
    """Tells whether there is overload. Times are those of one monotonic clock, in seconds.

    Parameters
    ----------
    quiet_s : float
        Without a refusal, after which it is over.
    """

    def __init__(self, quiet_s: float) -> None:
        self._quiet_s = quiet_s
        self._lasts_s = _FIRST_S
        self._quiet_at_s = self._end_s = -math.inf

    def is_on(self, now_s: float) -> bool:
        """Tell whether there is overload."""
        return now_s <= min(self._quiet_at_s, self._end_s)

    def has_just_ended(self, now_s: float) -> bool:
        """Tell whether one has ended a short while ago, though something was still refused."""
        return self._quiet_at_s >= self._end_s and self._end_s < now_s < self._end_s + self._lasts_s

    def begin(self, now_s: float) -> None:
        """Begin: there is too much, and something is refused."""
        self._lasts_s = min(2 * self._lasts_s, _LONGEST_S) if self.has_just_ended(now_s) else _FIRST_S
        self._end_s = now_s + self._lasts_s
        self.go_on(now_s)

    def go_on(self, now_s: float) -> None:
        """Note that something is refused."""
        self._quiet_at_s = now_s + self._quiet_s
