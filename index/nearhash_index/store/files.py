"""Writing files so that a crash leaves either the old content or the new."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

__all__ = ["fsync_path", "replace_file", "temporary_name"]


def fsync_path(path: Path) -> None:
    """Make a file's content, or a directory's names, survive a power loss."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file whole: readers see the old content or the new, never a part, even after a crash."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        # Of several writers, each uses the temporary file alone. The lock goes with the descriptor.
        fcntl.flock(folder, fcntl.LOCK_EX)
        temporary = temporary_name(path)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        os.fsync(folder)
    finally:
        os.close(folder)


def temporary_name(path: Path) -> Path:
    """Where `replace_file` writes first; a killed process may leave it."""
    return path.with_name(f"{path.name}.tmp")
