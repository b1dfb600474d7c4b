"""Pauses in long work, so that calls find the core free."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from nearhash_index.errors import NearHashIndexError

__all__ = ["Pace"]

_FOLLOW_EVERY_S = 0.1
_OTHERS_SHARE = 2.0
"""Of the time that a step takes."""
_LONGEST_PAUSE_S = 0.002
"""Longer steps have waited for the disk."""


class Pace:
    """Called between the steps of long work, leaves most of a core to calls: they would queue up behind 0.2 s of work.

    Parameters
    ----------
    follow : callable
        Called every tenth of a second, such as to follow changes: a withdrawal must not wait for the end.
    """

    def __init__(self, follow: Callable[[], object] = lambda: None) -> None:
        self._follow = follow
        self._step_s = self._followed_s = time.perf_counter()

    def __call__(self) -> None:
        """Pause after a step."""
        now_s = time.perf_counter()
        time.sleep(min(_OTHERS_SHARE * (now_s - self._step_s), _LONGEST_PAUSE_S))
        if now_s - self._followed_s > _FOLLOW_EVERY_S:
            # What fails here is no fault of the generation; the next look meets it again, and tells it.
            with suppress(NearHashIndexError):
                self._follow()
            self._followed_s = now_s
        self._step_s = time.perf_counter()
