"""Bringing the pages of a memory map into a process, and letting go of them, in steps.

Either takes 10 to 25 ms at 500 MB, as the kernel does it page by page. Calls that come meanwhile would have to wait for
the core, or, as LMDB closes a map with every thread of the interpreter standing still, for all of it.
"""

from __future__ import annotations

import ctypes
import mmap
import resource
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["forget_pages", "load_pages"]

_STEP_BYTES = 4 << 20
_SAMPLED = 64
"""One page of so many tells of its neighbours: the kernel takes memory back in longer runs."""

# Called through ctypes, it does not keep other threads from running.
_madvise = ctypes.CDLL(None, use_errno=True).madvise
_madvise.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int


def load_pages(arrays: Iterable[NDArray[Any]], between_steps: Callable[[], object]) -> None:
    """Read a byte of each page of the arrays, so that it is in memory and in this process's page table.

    Of pages that have been there all the time, only a sample is read: 1 ms at 900 MB in place of 7.

    Parameters
    ----------
    between_steps : callable
        Called after each array, and after each 4 MiB that had to be brought in; either takes some 0.1 ms.
    """
    for array in arrays:
        content = array.reshape(-1).view(np.uint8)
        for start in range(0, len(content), _STEP_BYTES):
            pages = content[start : start + _STEP_BYTES : mmap.PAGESIZE]
            before = _faults()
            # From the middle: the first and the last page may hold something else as well.
            pages[len(pages) // 2 % _SAMPLED :: _SAMPLED].max(initial=0)
            if _faults() != before:
                pages.max(initial=0)
                between_steps()
        between_steps()


def forget_pages(arrays: Iterable[NDArray[Any]], between_steps: Callable[[], object]) -> None:
    """Take arrays out of this process's page table. Whoever reads them on finds them as they were.

    Parameters
    ----------
    arrays : iterable of arrays
        As `map_arrays` returned them. Memory that is no file's would be cleared.
    between_steps : callable
        Called after each 4 MiB, which takes some 0.2 ms.
    """
    for array in arrays:
        # Whole pages only; what else lies in the first and the last one does not matter.
        first = -(-array.ctypes.data // mmap.PAGESIZE) * mmap.PAGESIZE
        stop = (array.ctypes.data + array.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
        for address in range(first, stop, _STEP_BYTES):
            # If it is refused, closing the map just takes longer.
            _madvise(address, min(_STEP_BYTES, stop - address), mmap.MADV_DONTNEED)
            between_steps()


def _faults() -> int:
    """Return how often this thread has needed the kernel to reach a page."""
    used = resource.getrusage(resource.RUSAGE_THREAD)
    return used.ru_minflt + used.ru_majflt
