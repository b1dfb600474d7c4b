"""The name under which a process is listed by ps, top and the journal."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

__all__ = ["set_process_name"]


def set_process_name(name: str) -> None:
    """Name this process, in at most 15 characters; only Linux has such names. Main thread only."""
    with suppress(OSError):
        Path("/proc/self/comm").write_text(name)
