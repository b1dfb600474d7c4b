"""A disk that fails at a chosen step, for processes of their own: failing_disk.c, compiled and preloaded."""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path

__all__ = ["compiled", "fail", "preloaded", "steps", "work_again"]

_SOURCE = Path(__file__).with_name("failing_disk.c")


def compiled(folder: Path) -> Path:
    """Compile it into the folder; return the library to preload."""
    library = folder / "failing_disk.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, _SOURCE, "-ldl"], check=True)  # noqa: S607
    return library


def preloaded(library: Path) -> dict[str, str]:
    """Return the environment of a process whose disk can be made to fail."""
    return {**os.environ, "LD_PRELOAD": str(library)}


def fail(folder: Path, at: int, error: int = 0, *, tear: bool = False) -> None:
    """Make this process fail at the at-th change of a file below the folder; at=0 only counts.

    Parameters
    ----------
    error : int
        What this and all later steps fail with; 0: the process is killed instead.
    tear : bool
        Whether a large write that fails is half done.
    """
    ctypes.CDLL(None).disk_fail(os.fsencode(folder), ctypes.c_long(at), error, int(tear))


def work_again() -> None:
    """Make the disk work from here on."""
    ctypes.CDLL(None).disk_fail(b"", ctypes.c_long(0), 0, 0)


def steps() -> int:
    """Return the number of steps since `fail`."""
    counted = ctypes.CDLL(None).disk_steps
    counted.restype = ctypes.c_long
    return int(counted())
