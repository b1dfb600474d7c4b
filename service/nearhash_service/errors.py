"""What the service refuses, beside what the engine does."""

from __future__ import annotations

from nearhash_index.errors import NearHashIndexError

__all__ = ["Abandoned", "Forbidden", "Overloaded", "TooLate", "Unauthenticated"]


class Unauthenticated(NearHashIndexError):
    """A call from nobody who is known."""


class Forbidden(NearHashIndexError):
    """A call that its caller has no right to."""


class Overloaded(NearHashIndexError):
    """More than the server takes in, or than the caller may ask.

    Attributes
    ----------
    retry_after_s : float
        When to try again.
    """

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooLate(NearHashIndexError):
    """An answer that would come after the caller's deadline."""


class Abandoned(NearHashIndexError):
    """A call whose caller has gone."""
