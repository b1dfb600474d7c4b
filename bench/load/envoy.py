"""Envoy in front of the workers of a bench, as shipped."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.load.serving import pinned
from tests.service.envoy import Envoy, envoy

__all__ = ["envoy_before"]


@contextmanager
def envoy_before(addresses: Sequence[str], cpus: Sequence[int]) -> Iterator[Envoy]:
    """Run Envoy before workers, on the generator's cores.

    It has precedence there, as on a core of its own: in time slices it would let calls through in bursts, between which
    a worker has nothing to do.
    """
    ports = [int(address.rpartition(":")[2]) for address in addresses]
    wrapper = ["chrt", "--fifo", "1", *pinned([], cpus)]
    with tempfile.TemporaryDirectory() as folder, envoy(Path(folder), ports, wrapper=wrapper) as running:
        yield running
