"""The callers of the configuration file, followed as the file changes: a token that is taken out opens nothing more."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from nearhash_index.errors import InvalidInput
from nearhash_service.access.callers import KnownCallers
from nearhash_service.config import Caller, ConfigSources

__all__ = ["FollowedCallers"]

_log = logging.getLogger(__name__)


class FollowedCallers:
    """Who may do what, now. Other settings are not followed: they need a restart.

    Parameters
    ----------
    callers : iterable of Caller
        Those known until the first look.
    sources : ConfigSources, optional
        Where to look; only a file can change.

    Attributes
    ----------
    known : KnownCallers
        Replaced as a whole; take the reference once per call.
    error : str
        Why a changed file is not followed; empty if it is.
    """

    def __init__(self, callers: Iterable[Caller] = (), sources: ConfigSources | None = None) -> None:
        self.known = KnownCallers(callers)
        self.error = ""
        self._sources = sources
        self._seen: tuple[int, int, int] | None = None

    def refresh(self) -> None:
        """Read the file again if it has changed. While it is wrong, the callers are those of before."""
        if self._sources is None or self._sources.file is None:
            return
        try:
            found = self._sources.file.stat()
            seen = (found.st_mtime_ns, found.st_size, found.st_ino)
            if seen == self._seen:
                return
            callers = self._sources.load().config.callers
        except (InvalidInput, OSError) as error:
            self._report(f"the callers are still those of before: {error}")
            return
        self.known, self.error, self._seen = KnownCallers(callers), "", seen
        _log.info("%d callers, as %s says", len(callers), self._sources.file)

    def _report(self, error: str) -> None:
        # Tried again every time, since what is wrong may be another file: a certificate that is just being replaced.
        if error != self.error:
            _log.error("%s", error)
        self.error, self._seen = error, None
