"""What the service refuses, beside what the engine does."""

from __future__ import annotations

from nearhash_index.errors import NearHashIndexError

__all__ = ["Forbidden", "Unauthenticated"]


class Unauthenticated(NearHashIndexError):
    """A call from nobody who is known."""


class Forbidden(NearHashIndexError):
    """A call that its caller has no right to."""
