"""Work in a process of its own: it takes what calls leave of the cores, and may be killed without them."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import ParamSpec, TypeVar

from nearhash_index.errors import StorageFailed
from nearhash_service.scheduling.cores import all_cores

__all__ = ["in_background"]

P = ParamSpec("P")
T = TypeVar("T")

_NICENESS = 10
"""Where all cores are busy, it takes a tenth of one: it comes late rather than that calls do."""


def in_background(if_killed: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what work returns, or raise what it raises.

    Parameters
    ----------
    if_killed : str
        What to tell then.
    work : callable
        Of a module, with arguments that can be pickled.

    Raises
    ------
    StorageFailed
        If the process was killed.
    """
    with ProcessPoolExecutor(
        max_workers=1, mp_context=multiprocessing.get_context("spawn"), initializer=_give_way, initargs=(all_cores(),)
    ) as pool:
        try:
            return pool.submit(work, *args, **kwargs).result()
        except BrokenProcessPool:
            raise StorageFailed(if_killed) from None


def _give_way(cores: Iterable[int]) -> None:
    os.nice(_NICENESS)
    # Not only that of a pinned worker. They may have been taken away meanwhile.
    with suppress(OSError):
        os.sched_setaffinity(0, cores)
