"""What is written to the log, as text for a person or as JSON for a collector.

A record written while a call is answered tells which one: method, peer, and the ids by which the caller's own logs and
traces name it.
"""

from __future__ import annotations

import logging
import threading
from time import monotonic

from pythonjsonlogger.json import JsonFormatter

from nearhash_service.config import LogSection
from nearhash_service.sight.current_call import current_call

__all__ = ["Throttle", "set_up_logging"]

_THROTTLED = ("nearhash_service.sight.observing",)
"""Loggers to which every call may write, if all are slow."""


def set_up_logging(role: str, section: LogSection) -> None:
    """Write this process's log to the standard error stream.

    Parameters
    ----------
    role : str
        "supervisor" or "worker".
    """
    handler = logging.StreamHandler()
    handler.addFilter(_with_call)
    handler.setFormatter(_json(role) if section.format == "json" else _Text(role))
    logging.basicConfig(level=section.level.upper(), handlers=[handler], force=True)
    for name in _THROTTLED:
        logging.getLogger(name).addFilter(Throttle())


class Throttle(logging.Filter):
    """Lets so many records of a logger pass in a while, and tells how many it left out.

    Parameters
    ----------
    most : int
    window_s : float
    """

    def __init__(self, most: int = 20, window_s: float = 10.0) -> None:
        super().__init__()
        self._most = most
        self._window_s = window_s
        self._lock = threading.Lock()
        self._window_start_s = monotonic()
        self._passed = self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the record passes."""
        with self._lock:
            now_s = monotonic()
            if now_s - self._window_start_s >= self._window_s:
                if self._left_out:
                    record.msg = f"{record.msg} ({self._left_out} more were left out before)"
                self._window_start_s, self._passed, self._left_out = now_s, 0, 0
            passes = self._passed < self._most
            self._passed += passes
            self._left_out += not passes
            return passes


class _Text(logging.Formatter):
    def __init__(self, role: str) -> None:
        super().__init__(f"%(asctime)s {role} %(process)d %(levelname)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        facts = getattr(record, "call", {})
        return super().formatMessage(record) + "".join(f" {name}={value}" for name, value in facts.items())


def _json(role: str) -> JsonFormatter:
    return JsonFormatter(
        "%(asctime)s %(levelname)s %(name)s %(process)d %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S%z",
        rename_fields={
            "asctime": "time",
            "levelname": "level",
            "name": "logger",
            "process": "pid",
            "exc_info": "error",
        },
        static_fields={"role": role},
    )


def _with_call(record: logging.LogRecord) -> bool:
    if call := current_call():
        record.call = call.facts()
    return True
