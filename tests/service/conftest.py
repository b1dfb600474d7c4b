"""A published data directory, and a server that serves it."""

import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from nearhash_index.store import DataDirectory
from nearhash_service.server import Server

from .calls import create
from .running import Running, Stubs, connected, serving
from .sample import Sample, make_sample, write_sample

_numbers = count()


@pytest.fixture(scope="session")
def sample() -> Sample:
    return make_sample()


@pytest.fixture(scope="session")
def published(tmp_path_factory, sample) -> Path:
    """A data directory that no test changes."""
    path = tmp_path_factory.mktemp("published") / "data"
    write_sample(path, sample)
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory, published) -> Iterator[Running]:
    """A server of this module's own, on a copy that it may change."""
    folder = tmp_path_factory.mktemp("server")
    data = shutil.copytree(published, folder / "data")
    with serving(folder, data) as running:
        yield running


@pytest.fixture(scope="module")
def stubs(server) -> Iterator[Stubs]:
    with connected(server.address) as connection:
        yield connection


@pytest.fixture
def data(tmp_path, published) -> Path:
    """A copy of the published data directory."""
    return Path(shutil.copytree(published, tmp_path / "data"))


@pytest.fixture
def serve(tmp_path) -> Iterator[Callable[..., Running]]:
    """Start servers that end with the test: `serve(data, "--workers", 2)`."""
    contexts = []

    def start(data: Path, *arguments: object, **options: str) -> Running:
        contexts.append(serving(tmp_path / f"server-{len(contexts)}", data, *arguments, **options))
        return contexts[-1].__enter__()

    yield start
    for context in reversed(contexts):
        context.__exit__(None, None, None)


@pytest.fixture
def bank(stubs) -> str:
    """A bank of this test's own."""
    return create(stubs, f"bank-{next(_numbers)}").name


@pytest.fixture
def own_stubs(tmp_path, data) -> Iterator[Stubs]:
    """Connect to a server of this test's own, in this process, which starts in no time."""
    address = f"unix:{tmp_path}/socket"
    with Server(DataDirectory(data), address), connected(address) as connection:
        yield connection
