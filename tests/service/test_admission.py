"""What becomes of lookups, of which some take long."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from time import monotonic, perf_counter, sleep

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from nearhash.v1 import lookup_pb2
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import DataDirectory
from nearhash_service import admission
from nearhash_service.config import AdmissionSection, Caller
from nearhash_service.followed_callers import FollowedCallers
from nearhash_service.server import Server

from .running import Stubs, connected, eventually
from .sample import rows_of
from .slow_lookups import slow_request, write_slow_list

SLOW = 16_000
"""Queries that take a second or so."""
BULK = (("nearhash-priority", "bulk"),)


@pytest.fixture(scope="module")
def slow_data(tmp_path_factory) -> Path:
    return write_slow_list(tmp_path_factory.mktemp("slow") / "data")


@contextmanager
def serving(folder: Path, data: Path, **options: object) -> Iterator[tuple[Server, Stubs]]:
    address = f"unix:{folder}/socket"
    with Server(DataDirectory(data), address, **options) as server, connected(address) as stubs:
        yield server, stubs


@pytest.fixture
def slow(tmp_path, slow_data) -> Iterator[tuple[Server, Stubs]]:
    with serving(tmp_path, slow_data, admission=AdmissionSection(bulk_wait_s=0.01)) as running:
        yield running


def refused(call) -> tuple[grpc.StatusCode, str, float]:
    """Return code, message, and when to try again in seconds; 0 if that is not told."""
    with pytest.raises(grpc.RpcError) as raised:
        call()
    retry = error_details_pb2.RetryInfo()
    status = rpc_status.from_call(raised.value)
    for detail in status.details if status else ():
        detail.Unpack(retry)
    return raised.value.code(), raised.value.details(), retry.retry_delay.ToMilliseconds() / 1000


def unfinished(server: Server) -> int:
    return sum(lane.pool.unfinished() for lane in server._lanes.all())


def tell(capsys, text: str) -> None:
    with capsys.disabled(), suppress(BrokenPipeError):
        print(f"\n  {text}")  # noqa: T201


def test_answers_do_not_depend_on_blocks(tmp_path, data, sample, monkeypatch):
    with serving(tmp_path, data) as (_, stubs):
        for hash_type in HASH_TYPES.values():
            values = [*sample.hashes(hash_type)[:40], bytes(hash_type.size_bytes), *sample.hashes(hash_type)[40:90]]
            for fields in ({}, {"radius": 20, "max_matches_per_hash": 1}):
                message = {"hash_type": hash_type.number, "hashes": b"".join(values), **fields}
                monkeypatch.setattr(admission, "_BLOCK_S", 10.0)
                whole = stubs.lookup(**message)
                monkeypatch.setattr(admission, "_BLOCK_S", 1e-9)
                assert stubs.lookup(**message) == whole
            assert rows_of(whole)


def test_work_stops_soon_after_a_caller_has_gone(slow, capsys):
    server, stubs = slow
    stopped_s = []
    for metadata in (BULK, None) * 3:
        call = stubs.lookups.Lookup.future(slow_request(SLOW), metadata=metadata, timeout=60)
        eventually(lambda: unfinished(server) == 1, every_s=0.001)
        sleep(0.1)
        assert not call.done()
        begin_s = perf_counter()
        call.cancel()
        eventually(lambda: unfinished(server) == 0, every_s=0.0005)
        stopped_s.append(perf_counter() - begin_s)
    told = f"{np.median(stopped_s) * 1e3:.1f} ms (worst {max(stopped_s) * 1e3:.1f})"
    tell(capsys, f"work stops {told} after a cancellation")
    # Generous: a machine that does other things, too.
    assert np.median(stopped_s) < 0.1


def test_work_stops_at_the_deadline_and_does_not_begin_if_it_cannot_be_met(slow, capsys, monkeypatch):
    server, stubs = slow
    begin_s = perf_counter()
    code, message, _ = refused(lambda: stubs.lookups.Lookup(slow_request(SLOW), timeout=0.1, metadata=BULK))
    assert code == grpc.StatusCode.DEADLINE_EXCEEDED
    assert "the deadline comes sooner" in message
    assert perf_counter() - begin_s < 0.1
    monkeypatch.setattr(admission, "_SURE", 0.0)
    begin_s = perf_counter()
    assert (
        refused(lambda: stubs.lookups.Lookup(slow_request(SLOW), timeout=0.2))[0] == grpc.StatusCode.DEADLINE_EXCEEDED
    )
    eventually(lambda: unfinished(server) == 0, every_s=0.0005)
    late_s = perf_counter() - begin_s - 0.2
    tell(capsys, f"work stops {late_s * 1e3:.1f} ms after a deadline")
    assert late_s < 0.2


def test_what_would_wait_too_long_is_refused_with_a_time_and_nothing_else_is(slow):
    server, stubs = slow
    with ThreadPoolExecutor(10) as pool:
        calls = [pool.submit(stubs.lookups.Lookup, slow_request(SLOW), timeout=60, metadata=BULK) for _ in range(2)]
        eventually(lambda: unfinished(server) == 2 and server._lanes.bulk.is_full())
        begin_s = perf_counter()
        for _ in range(20):
            code, message, retry_s = refused(lambda: stubs.lookups.Lookup(slow_request(1), timeout=20, metadata=BULK))
            assert (code, message.split(";")[0]) == (
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "too many bulk calls wait for their turn here",
            )
            assert 0 < retry_s < 60
        # Without waiting for what is under way.
        assert perf_counter() - begin_s < 1
        assert stubs.health("") == "SERVING"
        assert stubs.status().worker.generation == 1
        assert stubs.lookups.Lookup(slow_request(1), timeout=20).generation == 1
        for call in calls:
            assert call.result(60).generation == 1
    assert stubs.lookups.Lookup(slow_request(1), timeout=20, metadata=BULK).generation == 1


def test_large_lookups_do_not_occupy_all_interactive_threads(slow):
    server, stubs = slow
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(stubs.lookups.Lookup, slow_request(SLOW), timeout=60) for _ in range(2)]
        eventually(lambda: server._lanes.interactive.pool.unfinished() == 2)
        sleep(0.05)
        code, message, retry_s = refused(lambda: stubs.lookups.Lookup(slow_request(SLOW), timeout=60))
        assert (code, retry_s) == (grpc.StatusCode.RESOURCE_EXHAUSTED, 1.0)
        assert "send them with the metadata nearhash-priority: bulk" in message
        assert stubs.lookups.Lookup(slow_request(1), timeout=20).generation == 1
        for call in calls:
            assert call.result(60).generation == 1


def test_a_backfill_does_not_slow_uploads_by_more_than_a_block(slow, capsys):
    _, stubs = slow

    def latencies_ms(count: int) -> list[float]:
        times = []
        for _ in range(count):
            begin_s = perf_counter()
            stubs.lookups.Lookup(slow_request(1), timeout=20)
            times.append((perf_counter() - begin_s) * 1e3)
            sleep(0.002)
        return times

    def backfill() -> int:
        done = 0
        while not stop.is_set():
            stubs.lookups.Lookup(slow_request(4096), timeout=60, metadata=BULK)
            done += 1
        return done

    stop = threading.Event()
    alone = latencies_ms(200)
    with ThreadPoolExecutor(1) as pool:
        batches = pool.submit(backfill)
        begin_s = monotonic()
        beside = latencies_ms(400)
        stop.set()
        done, took_s = batches.result(60), monotonic() - begin_s
    told = " / ".join(f"{np.quantile(times, q):.2f}" for times in (alone, beside) for q in (0.5, 0.99))
    tell(capsys, f"uploads, p50 / p99 in ms: {told} alone / beside {done / took_s:.1f} batches of 4096 per second")
    assert done
    assert np.median(beside) < np.median(alone) + 20


def test_an_unknown_priority_is_refused(slow):
    _, stubs = slow
    metadata = (("nearhash-priority", "urgent"),)
    code, message, _ = refused(lambda: stubs.lookups.Lookup(slow_request(1), timeout=20, metadata=metadata))
    assert (code, message) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "metadata nearhash-priority: unknown; use interactive or bulk",
    )


def test_callers_have_their_limits(tmp_path, slow_data):
    callers = [
        Caller(name="slow", roles=("lookup",), token_sha256=(sha256(b"slow").hexdigest(),), queries_per_second=10),
        Caller(name="backfill", roles=("lookup",), token_sha256=(sha256(b"backfill").hexdigest(),), bulk_only=True),
    ]
    with serving(tmp_path, slow_data, callers=FollowedCallers(callers)) as (_, stubs):

        def look_up(caller: str, count: int = 1, metadata: tuple = ()) -> lookup_pb2.LookupResponse:
            token = ("authorization", f"Bearer {caller}")
            return stubs.lookups.Lookup(slow_request(count), timeout=20, metadata=(token, *metadata))

        assert look_up("slow", 25).generation == 1
        code, message, retry_s = refused(lambda: look_up("slow"))
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert message.startswith("more than 10 queries per second; try again in ")
        assert 0.5 < retry_s <= 2.5
        sleep(retry_s)
        assert look_up("slow").generation == 1
        code, message, _ = refused(lambda: look_up("backfill"))
        assert (code, "nearhash-priority: bulk" in message) == (grpc.StatusCode.PERMISSION_DENIED, True)
        assert look_up("backfill", 1, BULK).generation == 1
