"""A point in time that the calls of a lookup share."""

import time

from .errors import DeadlineExceeded, invalid


class Deadline:
    """When a lookup must be answered.

    Parameters
    ----------
    timeout_s
        From now, in seconds, above 0. None: no deadline.

    Raises
    ------
    InvalidRequest
        If `timeout_s` is not above 0.
    """

    def __init__(self, timeout_s: float | None) -> None:
        if timeout_s is not None and not timeout_s > 0:
            raise invalid("timeout_s", f"found {timeout_s}; it is a number of seconds above 0, or None for no deadline")
        self._timeout_s = timeout_s
        self._end_s = None if timeout_s is None else time.monotonic() + timeout_s

    def remaining_s(self) -> float | None:
        """Return the seconds left; None without a deadline.

        Raises
        ------
        DeadlineExceeded
            If there are none left.
        """
        left_s = self.left_s()
        if left_s is not None and left_s <= 0:
            raise self.exceeded()
        return left_s

    def left_s(self) -> float | None:
        """Return the seconds left, below 0 once it is over; None without a deadline."""
        return None if self._end_s is None else self._end_s - time.monotonic()

    def exceeded(self) -> DeadlineExceeded:
        """Return the error that says that the time is over."""
        return DeadlineExceeded(f"the lookup was not answered within timeout_s = {self._timeout_s}")

    def later(self, other: "Deadline") -> "Deadline":
        """Return the later of two deadlines."""
        if self._end_s is None or other._end_s is None:
            return self if self._end_s is None else other
        return self if self._end_s > other._end_s else other
