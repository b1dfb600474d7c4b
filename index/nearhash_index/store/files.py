"""Writing files so that a crash leaves either the old content or the new."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["fsync_path", "make_folder", "replace_file", "temporary_name"]


def fsync_path(path: Path) -> None:
    """Make a file's content, or a directory's names, survive a power loss."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole: readers see the old content or the new, never a part, even after a crash."""
    with _locked(path.parent) as folder:
        temporary = temporary_name(path)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        os.fsync(folder)


def make_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Make a folder whole, unless it is there: readers see it as `fill` left it or not at all, even after a crash."""
    with _locked(path.parent) as parent:
        if path.is_dir():
            return
        temporary = temporary_name(path)
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(mode=0o700)
        fill(temporary)
        fsync_path(temporary)
        temporary.rename(path)
        os.fsync(parent)


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Yield a folder's descriptor. Of several writers, each uses its temporary names alone."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # The lock goes with the descriptor.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def temporary_name(path: Path) -> Path:
    """Where a file or folder is written first; a killed process may leave it, and the next one replaces it."""
    return path.with_name(f"{path.name}.tmp")
