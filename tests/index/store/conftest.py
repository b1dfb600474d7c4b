from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nearhash_index.store import DataDirectory, Registry


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a data directory lies, empty but for its description."""
    return DataDirectory.create(tmp_path / "data").path


@pytest.fixture
def registry(path: Path) -> Iterator[Registry]:
    """Open the registry of `path`; a test that publishes in its own process opens it itself instead."""
    with Registry(DataDirectory(path)) as opened:
        yield opened
