"""Servers run as service/deploy/README.md says that calls are faster: they answer the same."""

from __future__ import annotations

import os

from nearhash_index.hash_types import HASH_TYPES

from .running import Running, connected, descendants, serving
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
