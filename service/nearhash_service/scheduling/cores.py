"""Which cores processes use: a worker may be pinned to one, and what works in the background has all."""

from __future__ import annotations

import logging
import os
from functools import cache

__all__ = ["all_cores", "core_of_place", "pin"]

_log = logging.getLogger(__name__)


@cache
def all_cores() -> frozenset[int]:
    """Return the cores that this process was given, even if it is pinned to one since."""
    return frozenset(os.sched_getaffinity(0))


def core_of_place(place: int) -> int:
    """Return a core for a worker by its number; further workers than there are cores begin with the first again."""
    # Asked each time: a container may have been given other ones.
    cores = sorted(os.sched_getaffinity(0))
    return cores[place % len(cores)]


def pin(core: int) -> None:
    """Use one core alone from now on, with all threads to come.

    Python's take turns anyway, and wake each other sooner on one core.
    """
    all_cores()
    try:
        os.sched_setaffinity(0, {core})
    except OSError as error:
        _log.warning("this worker is not pinned to core %d: %s", core, error)
