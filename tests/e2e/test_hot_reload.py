"""Lookups go on while generations flip: none fails, and each is answered by the generation that it names."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, perf_counter, sleep

import numpy as np
import pytest

from nearhash.v1 import banks_pb2
from nearhash_client import Client, LookupResult, NearHashError
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import Registry, publish
from nearhash_index.store.changes import Remove

from ..service.running import Stubs, connected, serving
from ..service.sample import AUTHOR, WIDE, Row, Sample, flipped, make_sample, without, write_sample

THREADS = 3
PER_CALL = 16
BATCHES = 8
FOLLOWING = ("--set", "server.reload_interval_s=0.02")
"""Looks for changes five times as often as by default, so that many flips take little time."""


class Lookups:
    """Looks batches up without pause from a thread, and checks each answer."""

    def __init__(self, address: str, hash_type: str, batches: list[list[bytes]], expected: dict[int, list[list[Row]]]):
        self.latencies_s: list[float] = []
        self.wrong: list[str] = []
        self.generation = 0
        self._arguments = address, hash_type, batches, expected
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join(30)

    def _run(self) -> None:
        address, hash_type, batches, expected = self._arguments
        with Client(address) as client:
            while not self._stop.is_set() and len(self.wrong) < 5:
                i = len(self.latencies_s) % len(batches)
                start_s = perf_counter()
                try:
                    result = client.lookup(batches[i], hash_type=hash_type, timeout_s=20)
                except NearHashError as error:
                    self.wrong.append(repr(error))
                    continue
                self.latencies_s.append(perf_counter() - start_s)
                if rows_of(result) != expected[result.generation][i]:
                    self.wrong.append(f"generation {result.generation} answered batch {i} wrongly")
                self.generation = result.generation


def rows_of(result: LookupResult) -> list[Row]:
    return [(m.query, m.distance, m.bank, m.entry_id, m.source, m.labels) for m in result.matches]


def two_generations(path: Path) -> tuple[Sample, Sample]:
    """Publish the sample, and again without every second entry of a bank."""
    first = make_sample()
    directory = write_sample(path, first)
    removed = [entry.key for entry in first.entries[WIDE]][::2]
    with Registry(directory) as registry:
        registry.apply(WIDE, [Remove(key) for key in removed], AUTHOR)
    assert publish(path).number == 2
    return first, without(first, WIDE, removed)


def flip(stubs: Stubs, number: int, threads: list[Lookups]) -> None:
    """Make a generation current, and wait until every thread has an answer from it."""
    stubs.banks.Rollback(banks_pb2.RollbackRequest(generation=number), timeout=20)
    deadline_s = monotonic() + 20
    while any(thread.generation != number for thread in threads):
        assert monotonic() < deadline_s, f"generation {number} was not taken over"
        assert not [wrong for thread in threads for wrong in thread.wrong]
        sleep(0.005)


@pytest.mark.parametrize("flips", [200, pytest.param(10_000, marks=[pytest.mark.long, pytest.mark.timeout(9000)])])
def test_no_lookup_fails_or_is_wrong_while_generations_flip(tmp_path, capsys, flips):
    samples = dict(enumerate(two_generations(tmp_path / "data"), start=1))
    rng = np.random.default_rng(6)
    with serving(tmp_path / "server", tmp_path / "data", "--workers", 2, *FOLLOWING) as running:
        threads = []
        for name in ("phash64", "pdq256", "md5"):
            hash_type = HASH_TYPES[name]
            values = samples[1].hashes(hash_type, WIDE)
            chosen = rng.choice(len(values), (BATCHES, PER_CALL))
            batches = [[flipped(rng, values[i], int(rng.integers(0, 5))) for i in row] for row in chosen]
            expected = {n: [sample.expected(hash_type, batch) for batch in batches] for n, sample in samples.items()}
            assert expected[1] != expected[2]
            threads.append(Lookups(running.address, name, batches, expected))
        assert len(threads) == THREADS
        with threads[0].going_on(), threads[1].going_on(), threads[2].going_on(), connected(running.address) as stubs:
            sleep(2)
            before = [len(thread.latencies_s) for thread in threads]
            for i in range(flips):
                flip(stubs, 1 + i % 2, threads)
    assert [wrong for thread in threads for wrong in thread.wrong] == []
    still = [latency_s for thread, n in zip(threads, before, strict=True) for latency_s in thread.latencies_s[:n]]
    moving = [latency_s for thread, n in zip(threads, before, strict=True) for latency_s in thread.latencies_s[n:]]
    assert still
    assert len(moving) > flips * THREADS
    with capsys.disabled(), suppress(BrokenPipeError):
        told = f"p99 {np.quantile(still, 0.99) * 1e3:.2f} ms before, {np.quantile(moving, 0.99) * 1e3:.2f} ms while"
        print(f"\n  {len(moving):,} lookups during {flips:,} flips, 0 failed or wrong: {told}")  # noqa: T201
