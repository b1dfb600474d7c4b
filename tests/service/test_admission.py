"""What becomes of lookups, of which some take long."""

from __future__ import annotations

import threading
from collections import Counter
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
from hypothesis import given
from hypothesis import strategies as st

from nearhash.v1 import lookup_pb2
from nearhash_index import calibration
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import DataDirectory
from nearhash_service.access.followed_callers import FollowedCallers
from nearhash_service.config import AdmissionSection, Caller
from nearhash_service.metrics.instruments import Instruments
from nearhash_service.scheduling import admission, turns
from nearhash_service.scheduling.lanes import Lane
from nearhash_service.scheduling.query_costs import QueryCosts
from nearhash_service.server import Server

from .metrics.scraped import Scraped
from .running import Stubs, connected, eventually
from .sample import rows_of
from .slow_lookups import request_taking, slow_request, write_slow_list

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
def instruments() -> Instruments:
    return Instruments()


@pytest.fixture
def slow(tmp_path, slow_data, instruments) -> Iterator[tuple[Server, Stubs]]:
    admission = AdmissionSection(bulk_wait_s=0.01)
    with serving(tmp_path, slow_data, admission=admission, instruments=instruments) as running:
        yield running


def refused(call) -> tuple[grpc.StatusCode, str, float]:
    """Return code, message, and when to try again in seconds; 0 if that is not told."""
    with pytest.raises(grpc.RpcError) as raised:
        call()
    return refused_with(raised.value)


def refused_with(error: grpc.RpcError) -> tuple[grpc.StatusCode, str, float]:
    retry = error_details_pb2.RetryInfo()
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        detail.Unpack(retry)
    return error.code(), error.details(), retry.retry_delay.ToMilliseconds() / 1000


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


@given(count=st.integers(1, 20_000), query_s=st.floats(1e-7, 1.0))
def test_blocks_are_short_and_of_one_size(count, query_s):
    size = admission._block_size(count, query_s)
    assert size == 1 or size * query_s <= 1.5 * admission._BLOCK_S + query_s
    blocks, rest = divmod(count, size)
    # The last one may lack what the others have more than their share.
    assert rest == 0 or size - rest <= blocks


# Generous where a machine does other things, too; the long version holds the promise, 10 ms after a block.
STOPS = [(3, 0.1), pytest.param(50, 0.014, marks=[pytest.mark.long, pytest.mark.timeout(600)])]


@pytest.mark.parametrize(("rounds", "most_s"), STOPS)
def test_work_stops_soon_after_a_caller_has_gone(slow, capsys, rounds, most_s):
    server, stubs = slow
    stopped_s = []
    for metadata in (BULK, None) * rounds:
        call = stubs.lookups.Lookup.future(request_taking(1.0), metadata=metadata, timeout=60)
        eventually(lambda: unfinished(server) == 1, every_s=0.001)
        sleep(0.1)
        assert not call.done()
        begin_s = perf_counter()
        call.cancel()
        eventually(lambda: unfinished(server) == 0, every_s=0.0005)
        stopped_s.append(perf_counter() - begin_s)
    told = f"{np.median(stopped_s) * 1e3:.1f} ms (worst {max(stopped_s) * 1e3:.1f})"
    tell(capsys, f"work stops {told} after a cancellation")
    assert np.median(stopped_s) < most_s


@pytest.mark.parametrize(("rounds", "most_s"), STOPS)
def test_work_stops_at_the_deadline_and_does_not_begin_if_it_cannot_be_met(slow, capsys, monkeypatch, rounds, most_s):
    server, stubs = slow
    request = request_taking(1.0)
    begin_s = perf_counter()
    code, message, _ = refused(lambda: stubs.lookups.Lookup(request, timeout=0.3, metadata=BULK))
    assert code == grpc.StatusCode.DEADLINE_EXCEEDED
    assert "the deadline comes sooner" in message
    assert perf_counter() - begin_s < 0.1
    monkeypatch.setattr(admission, "_SURE", 0.0)
    late_s = []
    for _ in range(rounds):
        begin_s = perf_counter()
        code, _, _ = refused(lambda: stubs.lookups.Lookup(request, timeout=0.2))
        assert code == grpc.StatusCode.DEADLINE_EXCEEDED
        eventually(lambda: unfinished(server) == 0, every_s=0.0005)
        late_s.append(perf_counter() - begin_s - 0.2)
    tell(capsys, f"work stops {np.median(late_s) * 1e3:.1f} ms (worst {max(late_s) * 1e3:.1f}) after a deadline")
    assert np.median(late_s) < most_s


def test_what_would_wait_too_long_is_refused_with_a_time_and_nothing_else_is(slow, instruments):
    server, stubs = slow
    with ThreadPoolExecutor(10) as pool:
        calls = [pool.submit(stubs.lookups.Lookup, request_taking(1.0), timeout=60, metadata=BULK) for _ in range(2)]
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
    scraped = Scraped([*instruments.own.collect(), *instruments.joint.collect()])
    assert scraped.total("grpc_server_handled_total", grpc_code="ResourceExhausted") == 20
    assert scraped.values("nearhash_refused_total", lane="bulk") == {(): 20}
    # Two that waited for no one, and one for the first of them.
    assert scraped.values("nearhash_lane_wait_seconds_count", lane="bulk") == {(): 3}
    assert scraped.total("nearhash_lane_wait_seconds_sum", lane="bulk") > 0.1


@pytest.fixture
def fast_machine(monkeypatch) -> None:
    """Let a query of the slow list be expected to take 60 us, wherever this runs."""
    monkeypatch.setattr(calibration, "brute_force_ns", lambda _words, _radius: 0.15)


@pytest.mark.usefixtures("fast_machine")
@pytest.mark.parametrize("count", [3, 20])
def test_small_lookups_tell_their_lane_what_they_took(slow, count):
    server, stubs = slow
    lane = server._lanes.interactive
    with lane_with_one_waiting(lane):
        before_s = lane.wait_s()
    for _ in range(50):
        stubs.lookups.Lookup(slow_request(count))
    with lane_with_one_waiting(lane):
        assert lane.wait_s() > 1.5 * before_s


def test_a_lookup_that_takes_far_longer_than_expected_hardly_moves_its_lane(monkeypatch, slow):
    """As one with thousands of matches does."""
    monkeypatch.setattr(QueryCosts, "query_s", lambda *_: 1e-9)
    server, stubs = slow
    lane = server._lanes.interactive
    with lane_with_one_waiting(lane):
        before_s = lane.wait_s()
    stubs.lookups.Lookup(slow_request(1000))
    with lane_with_one_waiting(lane):
        assert before_s < lane.wait_s() < 2 * before_s


@contextmanager
def lane_with_one_waiting(lane: Lane) -> Iterator[None]:
    lane.pool.waiting += 1
    try:
        yield
    finally:
        lane.pool.waiting -= 1


def test_large_lookups_wait_for_their_turn_and_do_not_keep_small_ones_from_theirs(slow, instruments):
    server, stubs = slow
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(stubs.lookups.Lookup, request_taking(0.125), timeout=60) for _ in range(8)]
        eventually(lambda: server._lanes.large.count() == 8, every_s=0.001)
        assert stubs.lookups.Lookup(slow_request(1), timeout=20).generation == 1
        assert stubs.health("") == "SERVING"
        assert server._lanes.large.count() > 0
        for call in calls:
            assert call.result(60).generation == 1
    assert server._lanes.large.count() == 0
    scraped = Scraped(instruments.joint.collect())
    assert scraped.values("nearhash_lane_wait_seconds_count", lane="large") == {(): 8}
    assert scraped.total("nearhash_lane_wait_seconds_sum", lane="large") > 0.1


def test_a_large_lookup_that_fails_within_a_block_leaves_its_turn_to_the_next(slow, monkeypatch):
    server, stubs = slow

    def fail(_view, _hash_type, _queries, blocks, **_options):
        next(blocks), next(blocks)
        raise ValueError

    with monkeypatch.context() as broken:
        broken.setattr("nearhash_service.answering.lookup_service.lookup_in_blocks", fail)
        for _ in range(2):
            assert refused(lambda: stubs.lookups.Lookup(request_taking(0.1)))[0] == grpc.StatusCode.INTERNAL
            eventually(lambda: server._lanes.large.count() == 0, within_s=5)
    assert stubs.lookups.Lookup(request_taking(0.1), timeout=60).generation


def test_more_large_lookups_than_can_be_answered_are_refused_with_a_time(slow, monkeypatch):
    server, stubs = slow
    monkeypatch.setattr(turns, "_ALWAYS_WAIT", 2)
    with ThreadPoolExecutor(10) as pool:
        calls = [pool.submit(stubs.lookups.Lookup, request_taking(1.0), timeout=60) for _ in range(8)]
        codes = Counter()
        for call in calls:
            try:
                assert call.result(60).generation == 1
                codes["OK"] += 1
            except grpc.RpcError as error:
                code, message, retry_s = refused_with(error)
                codes[code.name] += 1
                assert message.startswith("too many large lookups wait for their turn here; try again in ")
                assert retry_s > 0.25
    # Those that have a turn, and two that wait.
    assert 2 < codes["OK"] < 6
    assert codes == {"OK": codes["OK"], "RESOURCE_EXHAUSTED": 8 - codes["OK"]}
    assert server._lanes.large.count() == 0


def test_one_that_waits_is_given_up_with_its_caller_and_before_its_deadline(slow):
    server, stubs = slow
    large = server._lanes.large
    with ThreadPoolExecutor(5) as pool:
        calls = [pool.submit(stubs.lookups.Lookup, request_taking(0.25), timeout=60) for _ in range(4)]
        eventually(lambda: large.count() == 4, every_s=0.001)
        gone = stubs.lookups.Lookup.future(request_taking(1.0), timeout=60)
        eventually(lambda: large.count() == 5, every_s=0.001)
        gone.cancel()
        eventually(lambda: large.count() < 5, within_s=0.5, every_s=0.001)
        late = pool.submit(stubs.lookups.Lookup, slow_request(200), timeout=0.1)
        with pytest.raises(grpc.RpcError) as raised:
            late.result(20)
        assert raised.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
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
