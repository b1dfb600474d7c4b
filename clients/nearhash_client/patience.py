"""When a long lookup asks again by itself. Shared by both clients."""

import random

from .deadline import Deadline
from .errors import NearHashError, Overloaded, Unavailable

_PAUSE_S = 1.0
"""Unless the server says how long."""


def pause_s(error: NearHashError, deadline: Deadline) -> float:
    """Return how long to wait before a failed call is sent again, in seconds.

    Up to half more than the server asks for, so that clients who were refused together do not return together.

    Raises
    ------
    NearHashError
        The given one, if to ask again does not help or the time left is too short.
    """
    if not isinstance(error, Overloaded | Unavailable):
        raise error
    asked_s = error.retry_after_s if isinstance(error, Overloaded) else None
    wait_s = (_PAUSE_S if asked_s is None else asked_s) * random.uniform(1, 1.5)  # noqa: S311 - no secret
    raise_at_end(error, deadline, wait_s)
    return wait_s


def raise_at_end(error: NearHashError, deadline: Deadline, wait_s: float = 0.0) -> None:
    """Raise the error if the deadline is over, or would be after such a wait: it says more than that it is over."""
    left_s = deadline.left_s()
    if left_s is not None and wait_s >= left_s:
        raise error
