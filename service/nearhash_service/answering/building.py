"""Builds, asked for and unasked, in the background."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from time import monotonic

from nearhash_index.errors import NearHashIndexError, Pinned, StoreBusy
from nearhash_index.store import DataDirectory, Registry, publish
from nearhash_index.store.generation import Manifest
from nearhash_service.answering.background import in_background
from nearhash_service.config import PublishSection
from nearhash_service.metrics.instruments import Instruments

__all__ = ["AutoPublish", "publish_in_own_process"]

_LOOK_EVERY_S = 1.0
_PAUSE_AFTER_FAILURE_S = 60.0

_log = logging.getLogger(__name__)


def publish_in_own_process(path: Path, kept_generations: int, instruments: Instruments) -> Manifest:
    """Do what `publish` does; errors come back as raised."""
    with instruments.timing_build():
        return in_background(
            "the build was killed; the old generation stays published", publish, path, kept_generations
        )


class AutoPublish:
    """Publishes when enough changes wait, so that deltas stay small. Runs in a thread.

    Parameters
    ----------
    directory : DataDirectory
    registry : Registry
    policy : PublishSection
    instruments : Instruments
    """

    def __init__(
        self, directory: DataDirectory, registry: Registry, policy: PublishSection, instruments: Instruments
    ) -> None:
        self._directory = directory
        self._registry = registry
        self._policy = policy
        self._instruments = instruments
        self._waiting_since_s: float | None = None

    def run(self, stop: threading.Event) -> None:
        """Look every second until told to stop."""
        pause_s = _LOOK_EVERY_S
        while not stop.wait(pause_s):
            pause_s = _LOOK_EVERY_S
            try:
                if self._is_due():
                    manifest = publish_in_own_process(
                        self._directory.path, self._policy.kept_generations, self._instruments
                    )
                    _log.info("published generation %d, sequence %d", manifest.number, manifest.sequence)
            except (StoreBusy, Pinned):
                # Somebody publishes, or wants the old generation: nothing to do but to wait.
                continue
            except NearHashIndexError as error:
                _log.error("publishing failed, next try in %d s: %s", _PAUSE_AFTER_FAILURE_S, error)
                pause_s = _PAUSE_AFTER_FAILURE_S

    def _is_due(self) -> bool:
        waiting = self._registry.sequence() - self._published_sequence()
        if not waiting:
            self._waiting_since_s = None
            return False
        if self._waiting_since_s is None:
            self._waiting_since_s = monotonic()
        return waiting >= self._policy.changes or monotonic() - self._waiting_since_s >= self._policy.age_s

    def _published_sequence(self) -> int:
        try:
            return Manifest.read(self._directory.generation_path(self._directory.current().number)).sequence
        except NearHashIndexError:
            return 0
