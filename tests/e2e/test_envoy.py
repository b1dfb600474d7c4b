"""The Envoy configuration that we ship, in a real Envoy in front of two real servers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle, islice
from pathlib import Path
from time import sleep

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from nearhash.v1 import lookup_pb2
from nearhash_index.hash_types import HASH_TYPES

from ..service.envoy import CONFIG, ENVOY, envoy
from ..service.running import CALL_S, Running, Stubs, alive, connected, descendants, eventually, serving
from ..service.sample import NARROW, make_sample, write_sample

THREADS = 4


class Callers:
    """Look hashes up, one after the other on each thread, without trying again."""

    def __init__(self, address: str, request: lookup_pb2.LookupRequest) -> None:
        self._address, self._request = address, request
        self._stop = threading.Event()
        self.answered = [0] * THREADS
        self.failed: list[str] = []
        self._threads = [threading.Thread(target=self._call, args=(i,)) for i in range(THREADS)]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _call(self, i: int) -> None:
        with connected(self._address) as stubs:
            while not self._stop.is_set():
                try:
                    assert stubs.lookups.Lookup(self._request, timeout=CALL_S).matches
                    self.answered[i] += 1
                except grpc.RpcError as error:
                    self.failed.append(f"{error.code()}: {error.details()}")

    def go_on(self, calls: int = 200) -> None:
        """Wait for so many answers more."""
        before = sum(self.answered)
        eventually(lambda: sum(self.answered) >= before + calls or self.failed)


def kill(server: Running) -> None:
    """Kill a server and its workers at once."""
    processes = {server.process.pid, *descendants(server.process.pid)}
    for process_id in processes:
        os.kill(process_id, signal.SIGKILL)
    server.process.wait(10)
    eventually(lambda: not any(map(alive, processes)))


@contextmanager
def stalled(server: Running) -> Iterator[None]:
    """Have a server's processes stand still."""
    processes = [server.process.pid, *descendants(server.process.pid)]
    for process_id in processes:
        os.kill(process_id, signal.SIGSTOP)
    try:
        yield
    finally:
        for process_id in processes:
            os.kill(process_id, signal.SIGCONT)


@pytest.fixture
def lists(tmp_path) -> list[Path]:
    """Two data directories with the same list, as two servers have."""
    write_sample(tmp_path / "first", make_sample(per_type=20))
    return [tmp_path / "first", shutil.copytree(tmp_path / "first", tmp_path / "second")]


def test_the_configuration_is_valid():
    done = subprocess.run([ENVOY, "--mode", "validate", "-c", CONFIG], capture_output=True, text=True, check=False)
    assert (done.returncode, "OK" in done.stdout) == (0, True), done.stderr


def test_no_lookup_fails_while_a_server_drains_and_later_stalls_as_the_other_one_dies(tmp_path, lists):
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(serving(tmp_path / f"server-{data.name}", data, "--set", "server.drain_delay_s=2"))
            for data in lists
        )
        proxy = stack.enter_context(envoy(tmp_path, [first.port, second.port]))
        with Callers(proxy.address, a_request()) as callers:
            callers.go_on()
            shares = [host["calls"] / sum(callers.answered) for host in proxy.hosts().values()]
            # Evenly, though each caller has one connection.
            assert all(0.4 < share < 0.8 for share in shares), shares
            first.stop()
            callers.go_on()
            assert [host["healthy"] for host in proxy.hosts().values()] == [False, True]
            # It was told before calls were refused.
            assert proxy.count("cluster.nearhash.upstream_rq_retry") == 0
            first = stack.enter_context(serving(tmp_path / "again", lists[0], listen=first.address))
            eventually(lambda: proxy.hosts()[first.port]["healthy"])
            callers.go_on()
            late = proxy.count("cluster.nearhash.health_check.failure")
            with stalled(first):
                eventually(lambda: proxy.count("cluster.nearhash.health_check.failure") > late)
                kill(second)
            callers.go_on()
            eventually(lambda: not proxy.hosts()[second.port]["healthy"])
            callers.go_on()
    assert callers.failed == []


def test_a_server_that_hangs_keeps_hardly_a_call_from_the_other_one(tmp_path, lists):
    request = a_request()
    with ExitStack() as stack:
        hanging, other = (stack.enter_context(serving(tmp_path / f"server-{data.name}", data)) for data in lists)
        proxy = stack.enter_context(envoy(tmp_path, [hanging.port, other.port]))
        stubs = [stack.enter_context(connected(proxy.address))]
        with stalled(hanging):
            calls: list[grpc.Call] = []
            for _ in range(50):
                calls += looked_up(stubs, request, 10)
                sleep(0.02)
            # It was not left out: calls tell of it before checks of health do.
            assert proxy.hosts()[hanging.port]["healthy"]
            found = codes(calls)
    assert set(found) <= {grpc.StatusCode.OK, grpc.StatusCode.DEADLINE_EXCEEDED}
    # Those that it had before it had more than the other one. Half of all would wait if they went round.
    assert 0 < found[grpc.StatusCode.DEADLINE_EXCEEDED] <= 50


def test_small_lookups_that_are_too_many_are_refused_as_servers_refuse_unless_switched_off(tmp_path, lists):
    """The servers stand still, so that every call waits."""
    request = a_request()
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(tmp_path / f"server-{data.name}", data)) for data in lists]
        proxy = stack.enter_context(envoy(tmp_path, [server.port for server in servers]))
        # Envoy takes 200 calls over a connection.
        stubs = [stack.enter_context(connected(proxy.address)) for _ in range(4)]
        for server in servers:
            stack.enter_context(stalled(server))

        calls = looked_up(stubs, request, 700)
        bulk = looked_up(stubs, request, 50, metadata=[("nearhash-priority", "bulk")])
        # As many wait as may at least: none has been answered that would tell Envoy to let more through.
        assert codes(calls) == {grpc.StatusCode.RESOURCE_EXHAUSTED: 700 - 64, grpc.StatusCode.DEADLINE_EXCEEDED: 64}
        assert codes(bulk) == {grpc.StatusCode.DEADLINE_EXCEEDED: 50}
        proxy.let_all_through()
        assert codes(looked_up(stubs, request, 700)) == {grpc.StatusCode.DEADLINE_EXCEEDED: 700}
    refused = next(call for call in calls if call.code() == grpc.StatusCode.RESOURCE_EXHAUSTED)
    # It makes sure that message and code are those of the call, too.
    status, retry = rpc_status.from_call(refused), error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(retry)
    assert status.message.endswith(f"try again in {retry.retry_delay.ToTimedelta().total_seconds():.2f} s")


def a_request() -> lookup_pb2.LookupRequest:
    """Return a lookup of a hash of the list."""
    (query,) = make_sample(per_type=20).hashes(HASH_TYPES["phash64"], NARROW)[:1]
    return lookup_pb2.LookupRequest(hash_type=1, hashes=query)


def looked_up(stubs: list[Stubs], request: lookup_pb2.LookupRequest, count: int, **options: object) -> list[grpc.Call]:
    """Make calls at once, of two seconds at most, over connections in turn."""
    lookups = islice(cycle(each.lookups.Lookup for each in stubs), count)
    return [lookup.future(request, timeout=2.0, **options) for lookup in lookups]


def codes(calls: list[grpc.Call]) -> Counter[grpc.StatusCode]:
    """Return how many calls have ended in which way, once all have."""
    return Counter(call.code() for call in calls)
