"""What a worker answers from, and how it follows changes while calls go on.

The view, a generation and the delta to now, is one immutable object behind one reference. A call takes the reference
once and keeps its view until it has answered; an exchange is one assignment. The generation served before stays open,
since a roll back most likely goes there; the memory map of the one before that closes with its last call.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable

import numpy as np

from nearhash_index.errors import NearHashIndexError, NotPublished, StorageFailed
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import Current, DataDirectory, Generation, Registry
from nearhash_index.store.delta import DeltaFollower
from nearhash_index.view import View
from nearhash_service.answering.pace import Pace
from nearhash_service.answering.worker_board import WorkerNote

__all__ = ["ServedView"]

_KEPT_OPEN = 2
"""Generations, with the one served."""

_log = logging.getLogger(__name__)


class ServedView:
    """Follows CURRENT of a data directory, and the registry's change log.

    Parameters
    ----------
    directory : DataDirectory
    registry : Registry
    on_demand : bool
        Whether to open what is published when it is first asked for, and not to warm it: for few calls, most of which
        need no view.

    Attributes
    ----------
    reload_count : int
        Generations put in service.
    last_reload_s : float
        How long the last one took to open and warm.
    read_sequence : int
        The registry's sequence when the change log was read last.
    """

    def __init__(self, directory: DataDirectory, registry: Registry, *, on_demand: bool = False) -> None:
        self._directory = directory
        self._registry = registry
        self._on_demand = on_demand
        self._opening = threading.Lock()
        self.reload_count = 0
        self.last_reload_s = 0.0
        self.read_sequence = 0
        self._start_time_s = time.time()
        self._opened: list[Generation] = []
        self._view: View | None = None
        self._follower: DeltaFollower | None = None
        self._served: Current | None = None
        self._refused: tuple[Current, NearHashIndexError] | None = None
        self._error: NearHashIndexError | None = None
        self._changes_read_s = time.monotonic()

    def get(self) -> View:
        """Return what to answer from.

        Raises
        ------
        NotPublished
            If nothing is published yet.
        NearHashIndexError
            If the only generation there is was refused: why.
        """
        if self._view is None and self._on_demand:
            with self._opening:
                if self._view is None:
                    self.refresh()
        if self._view is not None:
            return self._view
        raise self._error or NotPublished("nothing is published yet; publish first")

    def error(self) -> str:
        """Return why a newer generation is not served; empty if none was refused."""
        return "" if self._error is None else str(self._error)

    def changes_age_s(self) -> float:
        """Return how long ago the change log was read: what has been withdrawn since still matches."""
        return time.monotonic() - self._changes_read_s

    def note(self) -> WorkerNote:
        """Return what this process serves."""
        note = WorkerNote(os.getpid(), self._start_time_s, reload_error=self.error())
        view = self._view
        if view is None:
            return note
        return note._replace(
            generation=view.generation.manifest.number,
            sequence=view.sequence,
            delta_entry_count=len(view.delta.entries),
        )

    def refresh(self) -> bool:
        """Serve what CURRENT names, verified and warmed, and the changes since. To be called by one thread.

        A generation that is refused is reported and not tried again; the one served so far stays. What the operating
        system refuses is reported and tried again.

        Returns
        -------
        bool
            Whether there is something to answer from.
        """
        try:
            current = self._directory.current()
            if current == self._served:
                self._error = None
            elif self._refused and current == self._refused[0]:
                self._report(self._refused[1])
            else:
                self._exchange(current)
        except NotPublished:
            pass
        except NearHashIndexError as error:
            self._report(error)
        except OSError as error:
            self._report(StorageFailed(f"the generation cannot be read: {error}"))
        self._follow_changes()
        return self._view is not None

    def _exchange(self, current: Current) -> None:
        started_s = time.perf_counter()
        pace = (lambda: None) if self._view is None else Pace(self._follow_changes)
        try:
            generation = Generation.open(self._directory.generation_path(current.number), pace, self._opened)
        except NearHashIndexError as error:
            self._refused = current, error
            raise
        follower = DeltaFollower(generation, pinned=current.pinned)
        with self._registry.snapshot() as snapshot:
            delta = follower.read(snapshot, time.time())
        assert delta is not None  # noqa: S101 - the first one always is
        view = View(generation, delta)
        if not self._on_demand:
            _warm(view, pace)
        self._view, self._follower = view, follower
        self._served, self._refused, self._error = current, None, None
        self.reload_count += 1
        self.last_reload_s = time.perf_counter() - started_s
        _log.info(
            "serving generation %d, sequence %d, %d entries, opened in %.3f s",
            current.number,
            delta.sequence,
            generation.manifest.entry_count,
            self.last_reload_s,
        )
        opened = [generation, *(other for other in self._opened if other is not generation)]
        self._opened = opened[:_KEPT_OPEN]
        for other in opened[_KEPT_OPEN:]:
            other.forget_pages(pace)

    def _follow_changes(self) -> None:
        if self._view is None or self._follower is None:
            return
        started_s = time.monotonic()
        with self._registry.snapshot() as snapshot:
            delta = self._follower.read(snapshot, time.time())
            self.read_sequence = snapshot.sequence
        if delta is not None:
            self._view = View(self._view.generation, delta)
        self._changes_read_s = started_s

    def _report(self, error: NearHashIndexError) -> None:
        if str(error) != self.error():
            _log.error("a newer generation is not served: %s", error)
        self._error = error


def _warm(view: View, between_steps: Callable[[], object]) -> None:
    """Search once at every radius that banks use: no caller shall wait for plans and kernels."""
    for name, segment in view.generation.segments.items():
        hash_type = HASH_TYPES[name]
        query = np.zeros((1, hash_type.words), dtype=np.uint64)
        for radius in {bank.radii[name] for bank in view.banks}:
            segment.index.warm([radius])
            between_steps()
            segment.index.count_candidates(query, radius)
            if quick := view.reach(hash_type, radius, ()).quick:
                quick.find(bytes(hash_type.size_bytes))
