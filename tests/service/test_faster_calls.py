"""Servers run as service/deploy/README.md says that calls are faster: they answer the same."""

from __future__ import annotations

import os
import signal

from nearhash_index.hash_types import HASH_TYPES

from .running import Running, connected, descendants, eventually, serving
from .sample import rows_of


def found_by(server: Running, hashes: list[bytes]) -> list[object]:
    with connected(server.address) as stubs:
        return rows_of(stubs.lookup(hash_type=1, hashes=b"".join(hashes)))


def test_threads_of_workers_are_scheduled_as_batch_if_the_server_is(tmp_path, data, sample):
    hash_type = HASH_TYPES["phash64"]
    hashes = sample.hashes(hash_type)[:20]
    # What `CPUSchedulingPolicy=batch` of systemd does.
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        with serving(tmp_path / "server", data) as server:
            threads = [int(task) for pid in descendants(server.process.pid) for task in os.listdir(f"/proc/{pid}/task")]
            assert len(threads) > 10
            assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_BATCH}
            assert found_by(server, hashes) == sample.expected(hash_type, hashes)
            assert server.stop() == 0
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def test_grpc_can_wait_for_connections_without_its_event_engine(tmp_path, data, sample, monkeypatch):
    hash_type = HASH_TYPES["phash64"]
    hashes = sample.hashes(hash_type)[:20]
    monkeypatch.setenv("GRPC_EXPERIMENTS", "-event_engine_listener")
    with serving(tmp_path / "server", data) as server:
        assert found_by(server, hashes) == sample.expected(hash_type, hashes)
        assert server.stop() == 0
        # Where gRPC does not know it any more, it says so.
        assert "xperiment" not in server.log()


def cores(process_id: int) -> set[int]:
    """Return on which cores a thread of the process may run."""
    return set().union(*(os.sched_getaffinity(int(task)) for task in os.listdir(f"/proc/{process_id}/task")))


def test_each_worker_can_have_a_core_of_its_own(tmp_path, data, sample):
    hash_type = HASH_TYPES["phash64"]
    hashes = sample.hashes(hash_type)[:20]
    allowed = os.sched_getaffinity(0)
    config = tmp_path / "nearhash.toml"
    config.write_text("[server]\npin_workers = true\n")
    with serving(tmp_path / "server", data, "--config", config, "--workers", 2) as server:
        first = server.workers()
        pinned = [cores(process_id) for process_id in first]
        assert [len(of_worker) for of_worker in pinned] == [1, 1]
        assert len(set().union(*pinned)) == min(2, len(allowed))
        assert found_by(server, hashes) == sample.expected(hash_type, hashes)
        # One that takes the place of another takes its core.
        killed = min(first)
        of_killed = cores(killed)
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: len(server.workers() - first) == 1)
        (successor,) = server.workers() - first
        eventually(lambda: cores(successor) == of_killed)
        # On SIGHUP, it is as the configuration says now.
        config.write_text("")
        server.process.send_signal(signal.SIGHUP)
        before = server.workers()
        eventually(lambda: len(server.workers()) == 2 and not server.workers() & before, within_s=60)
        assert all(cores(process_id) == allowed for process_id in server.workers())
        assert server.stop() == 0
