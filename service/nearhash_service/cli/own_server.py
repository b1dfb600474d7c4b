"""A server in a command's own process, so that there is one way to work on a data directory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nearhash_index.store import DataDirectory, Registry
from nearhash_service.server import Server

__all__ = ["own_server"]


@contextmanager
def own_server(data: Path, *, create: bool) -> Iterator[tuple[str, Registry]]:
    """Serve a data directory to this process alone; yield the address, and the registry.

    Parameters
    ----------
    create : bool
        Whether to make the data directory if there is none.
    """
    directory = DataDirectory.create(data) if create else DataDirectory(data)
    # A folder that only this user may enter.
    with tempfile.TemporaryDirectory(prefix="nearhash-") as folder:
        address = f"unix:{folder}/socket"
        # It need not follow changes: a command makes all of them through it, and looks up once.
        with Server(directory, address, reload_interval_s=None) as server:
            yield address, server.registry
