"""Where workers tell each other what they serve: one small file each, in the data directory.

    DATA/workers/4711.json

A call reaches one worker, and the operator wants to know of all. What a dead worker left is cleaned up by the readers.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

__all__ = ["WorkerBoard", "WorkerNote"]


class WorkerNote(NamedTuple):
    """What a worker tells.

    Attributes
    ----------
    process_id : int
    start_time_s : float
        Unix time in seconds.
    generation, sequence, delta_entry_count : int
        What it serves; 0: nothing yet.
    reload_error : str
        Why a newer generation, changed callers or certificates are not served; empty if none were refused.
    """

    process_id: int
    start_time_s: float
    generation: int = 0
    sequence: int = 0
    delta_entry_count: int = 0
    reload_error: str = ""


class WorkerBoard:
    """Reads and writes the notes. Nothing here is synced to disk: it tells of processes, which a power loss ends."""

    def __init__(self, data: Path) -> None:
        self._folder = data / "workers"

    def post(self, note: WorkerNote) -> None:
        """Put a worker's note in place of its last one."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._path(note.process_id)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(note._asdict()), encoding="utf-8")
        temporary.replace(path)

    def remove(self, process_id: int) -> None:
        """Take a worker's note away. A disk that takes no changes keeps it, and readers know better."""
        with suppress(OSError):
            self._path(process_id).unlink()

    def notes(self) -> Iterator[WorkerNote]:
        """Yield the notes of the workers that live, by process id."""
        for path in sorted(self._folder.glob("*.json"), key=lambda path: int(path.stem)):
            if _is_alive(int(path.stem)):
                yield WorkerNote(**json.loads(path.read_text(encoding="utf-8")))
            else:
                self.remove(int(path.stem))

    def _path(self, process_id: int) -> Path:
        return self._folder / f"{process_id}.json"


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
