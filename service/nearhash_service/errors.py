"""What the service refuses, beside what the engine does."""

from __future__ import annotations

from nearhash_index.errors import NearHashIndexError

__all__ = ["Abandoned", "Forbidden", "Overloaded", "TooLate", "Unauthenticated"]

_RETRY_STEP_S = 0.05
"""Times to try again are told in such steps, so that many calls are refused in the same words, made once."""


class Unauthenticated(NearHashIndexError):
    """A call from nobody who is known."""


class Forbidden(NearHashIndexError):
    """A call that its caller has no right to."""


class Overloaded(NearHashIndexError):
    """More than the server takes in, or than the caller may ask.

    Parameters
    ----------
    problem : str
        What there is too much of.
    wait_s : float
        Until there may be room.

    Attributes
    ----------
    retry_after_s : float
        When to try again: the next of the steps.
    """

    def __init__(self, problem: str, wait_s: float) -> None:
        self.retry_after_s = (int(wait_s / _RETRY_STEP_S) + 1) * _RETRY_STEP_S
        super().__init__(f"{problem}; try again in {self.retry_after_s:.2f} s")


class TooLate(NearHashIndexError):
    """An answer that would come after the caller's deadline."""


class Abandoned(NearHashIndexError):
    """A call whose caller has gone."""
