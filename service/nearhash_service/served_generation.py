"""The generation that a worker serves, and its exchange for a newer one while calls go on.

The generation is one immutable object behind one reference. A call takes the reference once and keeps its generation
until it has answered; the exchange is one assignment. The old generation's memory map closes with its last call.
"""

from __future__ import annotations

import logging
import threading
from time import perf_counter

import numpy as np

from nearhash_index.errors import NearHashIndexError, NotPublished, StorageFailed
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import DataDirectory, Generation

__all__ = ["ServedGeneration"]

_log = logging.getLogger(__name__)


class ServedGeneration:
    """Follows CURRENT of a data directory."""

    def __init__(self, directory: DataDirectory) -> None:
        self._directory = directory
        self._generation: Generation | None = None
        self._error: NearHashIndexError | None = None
        self._refused: tuple[int, NearHashIndexError] | None = None

    def get(self) -> Generation:
        """Return the generation to answer from.

        Raises
        ------
        NotPublished
            If there is none yet.
        NearHashIndexError
            If the only one there is was refused: why.
        """
        if self._generation is not None:
            return self._generation
        raise self._error or NotPublished("nothing is published yet; publish first")

    def number(self) -> int:
        """Return the number of the generation served; 0: none."""
        generation = self._generation
        return generation.manifest.number if generation else 0

    def error(self) -> str:
        """Return why a newer generation is not served; empty if none was refused."""
        return "" if self._error is None else str(self._error)

    def refresh(self) -> bool:
        """Serve what CURRENT names, verified and warmed, if it is not served yet. To be called by one thread.

        A generation that is refused is reported and not tried again; the one served so far stays. What the operating
        system refuses is reported and tried again.

        Returns
        -------
        bool
            Whether there is a generation to answer from.
        """
        try:
            number = self._directory.current()
            if number == self.number():
                self._error = None
            elif self._refused and number == self._refused[0]:
                self._report(self._refused[1])
            else:
                self._exchange(number)
        except NotPublished:
            pass
        except NearHashIndexError as error:
            self._report(error)
        except OSError as error:
            self._report(StorageFailed(f"the generation cannot be read: {error}"))
        return self._generation is not None

    def follow(self, stop: threading.Event, interval_s: float) -> None:
        """Refresh until told to stop."""
        while not stop.wait(interval_s):
            try:
                self.refresh()
            except Exception:  # noqa: BLE001 - the thread must go on: without it the worker would never change again
                _log.exception("The reload failed for a reason that nobody foresaw")

    def _exchange(self, number: int) -> None:
        started = perf_counter()
        try:
            generation = Generation.open(self._directory.generation_path(number))
        except NearHashIndexError as error:
            self._refused = number, error
            raise
        _warm(generation)
        self._generation = generation
        self._error = None
        self._refused = None
        _log.info(
            "serving generation %d, sequence %d, %d entries, opened in %.3f s",
            number,
            generation.manifest.sequence,
            generation.manifest.entry_count,
            perf_counter() - started,
        )

    def _report(self, error: NearHashIndexError) -> None:
        if str(error) != self.error():
            _log.error("still serving generation %d: %s", self.number(), error)
        self._error = error


def _warm(generation: Generation) -> None:
    """Search each segment once at every radius that its banks use, so that no caller waits for a kernel to load."""
    for name, segment in generation.segments.items():
        query = np.zeros((1, HASH_TYPES[name].words), dtype=np.uint64)
        for radius in {bank.radii[name] for bank in generation.manifest.banks}:
            segment.index.search(query, radius)
