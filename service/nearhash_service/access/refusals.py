"""The log of calls that were refused for who makes them; an attacker can add to it, but not flood it."""

from __future__ import annotations

import logging
import threading
from time import monotonic

__all__ = ["RefusalLog"]

_WINDOW_S = 10.0
_LINES_PER_WINDOW = 20

_log = logging.getLogger(__name__)


class RefusalLog:
    """Writes a line per refused call, up to 20 in 10 s; of the others it tells the number."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._window_start_s = monotonic()
        self._written = 0
        self._left_out = 0

    def write(self, method: str, caller: str, peer: str) -> None:
        """Log who was refused what."""
        with self._lock:
            self._turn_window()
            if self._written == _LINES_PER_WINDOW:
                self._left_out += 1
                return
            self._written += 1
        _log.warning("refused: %s, called by %s at %s", method, caller, peer)

    def _turn_window(self) -> None:
        """Begin a new window if the last one is over. Lock held by caller."""
        now_s = monotonic()
        if now_s - self._window_start_s < _WINDOW_S:
            return
        if self._left_out:
            _log.warning("refused: %d more calls in the %d s before", self._left_out, _WINDOW_S)
        self._window_start_s, self._written, self._left_out = now_s, 0, 0
