"""Calls go on while workers are killed and exchanged."""

from __future__ import annotations

import os
import signal
import statistics
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from time import monotonic

import grpc
import pytest

from nearhash.v1 import lookup_pb2
from nearhash_client import Client, NearHashError
from nearhash_index.hash_types import HASH_TYPES

from ..service.running import Running, connected, eventually, serving
from ..service.sample import make_sample, write_sample

THREADS = 6
NOTICED_S = 0.2
"""Until a client knows that the other side of a connection is gone."""

Connect = Callable[[], AbstractContextManager[Callable[[], object]]]


class Load:
    """Calls without pause from several threads, each with a connection of its own, and what came of it."""

    def __init__(self, connect: Connect) -> None:
        self.outcomes: Counter[str] = Counter()
        self.failures: list[tuple[float, str]] = []
        self._connect = connect
        self._stop = threading.Event()

    @contextmanager
    def going_on(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._run) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        try:
            eventually(lambda: self.outcomes["OK"] > 100, within_s=60)
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(60)

    def _run(self) -> None:
        with self._connect() as call:
            while not self._stop.is_set():
                begin_s = monotonic()
                try:
                    call()
                    self.outcomes["OK"] += 1
                except (grpc.RpcError, NearHashError) as error:
                    told = error.code().name if isinstance(error, grpc.RpcError) else repr(error)
                    self.outcomes[told] += 1
                    self.failures.append((begin_s, told))


def without_retries(address: str, hashes: bytes) -> Connect:
    request = lookup_pb2.LookupRequest(hash_type=1, hashes=hashes)

    @contextmanager
    def connect() -> Iterator[Callable[[], object]]:
        with connected(address) as stubs:
            # Waiting for a connection is no failure.
            yield lambda: stubs.lookups.Lookup(request, timeout=20, wait_for_ready=True)

    return connect


def with_client(address: str, hashes: bytes) -> Connect:
    values = [hashes[i : i + 8] for i in range(0, len(hashes), 8)]

    @contextmanager
    def connect() -> Iterator[Callable[[], object]]:
        with Client(address) as client:
            yield lambda: client.lookup(values, timeout_s=20)

    return connect


@pytest.fixture(scope="module")
def hashes() -> bytes:
    return b"".join(make_sample().hashes(HASH_TYPES["phash64"])[:16])


@pytest.fixture(scope="module")
def config_file(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("restarts") / "nearhash.toml"


@pytest.fixture(scope="module")
def running(config_file) -> Iterator[Running]:
    data = config_file.parent / "data"
    write_sample(data, make_sample())
    config_file.write_text("")
    with serving(config_file.parent / "server", data, "--workers", 2, "--config", config_file) as running:
        yield running


def tell(capsys, text: str) -> None:
    with capsys.disabled(), suppress(BrokenPipeError):
        print(f"\n  {text}")  # noqa: T201


@pytest.mark.parametrize("kills", [10, pytest.param(500, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_a_killed_worker_takes_only_the_calls_in_flight_with_it(running, hashes, capsys, kills):
    load = Load(without_retries(running.address, hashes))
    killed_s, back_s = [], []
    with load.going_on():
        for _ in range(kills):
            before = eventually(lambda: len(running.workers()) == 2 and running.workers())
            killed_s.append(monotonic())
            os.kill(min(before), signal.SIGKILL)
            eventually(lambda before=before: len(running.workers() - before) == 1, within_s=60, every_s=0.01)
            back_s.append(monotonic() - killed_s[-1])
    assert set(load.outcomes) <= {"OK", "UNAVAILABLE"}
    for begin_s, told in load.failures:
        assert any(begin_s < moment_s + NOTICED_S and moment_s < begin_s + 20 for moment_s in killed_s), told
    tell(
        capsys,
        f"{kills} kills: {load.outcomes.total():,} calls, {load.outcomes['UNAVAILABLE']} UNAVAILABLE, no other error; "
        f"the worker back in {statistics.median(back_s):.2f} s (worst {max(back_s):.2f})",
    )
    assert statistics.median(back_s) < 2


@pytest.mark.parametrize("restarts", [2, pytest.param(100, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_no_call_fails_while_all_workers_are_exchanged(running, hashes, config_file, capsys, restarts):
    load = Load(with_client(running.address, hashes))
    with load.going_on():
        for i in range(restarts):
            before = eventually(lambda: len(running.workers()) == 2 and running.workers())
            config_file.write_text(f"[server]\ndrain_delay_s = {0.1 + i % 2 / 10}\n")
            running.process.send_signal(signal.SIGHUP)
            eventually(
                lambda before=before: len(running.workers()) == 2 and not running.workers() & before, within_s=60
            )
    assert load.failures == []
    tell(capsys, f"{restarts} rolling restarts of 2 workers: {load.outcomes['OK']:,} calls, 0 failed")


def test_a_configuration_that_is_wrong_changes_nothing(running, config_file):
    before = running.workers()
    for content, problem in [
        ("[server]\nreload_interval_s = 0\n", "reload_interval_s: expected `float` >= 0.01"),
        ("[server]\nworker = 2\n", "did you mean server.workers?"),
        ("[server\n", "nearhash.toml"),
    ]:
        config_file.write_text(content)
        seen = len(running.log())
        running.process.send_signal(signal.SIGHUP)
        eventually(lambda seen=seen: "the configuration stays what it was" in running.log()[seen:])
        assert problem in running.log()[seen:]
    assert running.workers() == before
    assert "Traceback" not in running.log()


def test_what_takes_a_restart_is_refused(running, config_file):
    before = running.workers()
    config_file.write_text("[server]\nport_per_worker = true\n")
    running.process.send_signal(signal.SIGHUP)
    eventually(lambda: "server.port_per_worker: it has changed, which takes a restart" in running.log())
    assert running.workers() == before


def test_each_worker_can_have_a_port_of_its_own(tmp_path, running, hashes):
    data = running.data
    with serving(tmp_path, data, "--workers", 2, "--set", "server.port_per_worker=true") as apart:
        first, second = apart.address.split(",")
        assert first != second
        ids = set()
        for address in (first, second):
            for _ in range(3):
                with connected(address) as stubs:
                    ids.add((address, stubs.status().worker.process_id))
        assert len(ids) == 2
        assert {process_id for _, process_id in ids} == apart.workers()
        with Client([first, second]) as client:
            assert client.lookup([hashes[:8]], timeout_s=20).matches
