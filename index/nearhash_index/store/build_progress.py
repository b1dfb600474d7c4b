"""How far a build is, told in a small file of the data directory, for whoever waits.

    DATA/staging/PROGRESS.json

A build may run in any process, and its callers in others. The file goes with the staging folder; one that a killed
build left says nothing, for nobody holds the lock then.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import NamedTuple

from nearhash_index.store.data_directory import DataDirectory

__all__ = ["BuildProgress", "BuildReporter"]


class BuildProgress(NamedTuple):
    """Where a build is.

    Attributes
    ----------
    generation : int
        Its number to be.
    step : str
        What it does now.
    step_number, step_count : int
        The first step is number 1.
    start_time_s : float
        Unix time in seconds.
    """

    generation: int
    step: str
    step_number: int
    step_count: int
    start_time_s: float

    @classmethod
    def read(cls, directory: DataDirectory) -> BuildProgress | None:
        """Return the progress of the build under way; None if there is none."""
        try:
            told = json.loads(_path(directory.staging_path).read_bytes())
        except (OSError, ValueError):
            return None
        return cls(**told) if directory.is_publishing() else None


class BuildReporter:
    """Tells how far a build in the staging folder is. Not synced to disk: it tells of a process."""

    def __init__(self, directory: DataDirectory, generation: int, step_count: int) -> None:
        self._path = _path(directory.staging_path)
        self._last = BuildProgress(generation, "", 0, step_count, time.time())

    def begin(self, step: str) -> None:
        """Tell the next step."""
        self._last = self._last._replace(step=step, step_number=self._last.step_number + 1)
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self._last._asdict()), encoding="utf-8")
        temporary.replace(self._path)


def _path(staging: Path) -> Path:
    return staging / "PROGRESS.json"
