"""More calls than a worker can answer."""

from __future__ import annotations

import gc
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median
from time import monotonic, perf_counter, sleep

import grpc
import numpy as np
import pytest

from nearhash.v1 import lookup_pb2

from ..service.envoy import envoy
from ..service.running import Stubs, connected, eventually, serving
from ..service.slow_lookups import request_taking, write_slow_list

pytestmark = pytest.mark.alone

IN_FLIGHT = 12
TIMES = 3
ROUNDS = 3


class Load:
    """Calls of one size, and what comes of them."""

    def __init__(self, stubs: Stubs, request: lookup_pb2.LookupRequest) -> None:
        self._lookup, self._request = stubs.lookups.Lookup, request
        self.codes: Counter[str] = Counter()
        self.latencies_s: list[float] = []
        self.sent = 0
        self._lock = threading.Lock()

    def send(self) -> grpc.Future:
        begin_s = perf_counter()
        self.sent += 1
        call = self._lookup.future(self._request, timeout=10)

        def end(call: grpc.Future) -> None:
            with self._lock:
                self.codes[call.code().name] += 1
                if call.code() == grpc.StatusCode.OK:
                    self.latencies_s.append(perf_counter() - begin_s)

        call.add_done_callback(end)
        return call

    def p99_ms(self) -> float:
        return float(np.quantile(self.latencies_s, 0.99)) * 1e3


def closed_loop(stubs: Stubs, request: lookup_pb2.LookupRequest, seconds: float) -> tuple[Load, float]:
    """Keep calls in flight; return what came of them, and answers per second."""
    load = Load(stubs, request)
    end_s = monotonic() + seconds

    def run() -> None:
        while monotonic() < end_s:
            with suppress(grpc.RpcError):
                load.send().result()

    threads = [threading.Thread(target=run) for _ in range(IN_FLIGHT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return load, load.codes["OK"] / seconds


def open_loop(
    stubs: Stubs, request: lookup_pb2.LookupRequest, calls_per_s: float, seconds: float
) -> tuple[Load, float]:
    """Send calls whatever becomes of them; return that, and answers per second."""
    load = Load(stubs, request)
    begin_s = monotonic()
    while (now_s := monotonic()) < begin_s + seconds:
        while load.sent < (now_s - begin_s) * calls_per_s:
            load.send()
        sleep(0.001)
    answered_per_s = load.codes["OK"] / (monotonic() - begin_s)
    eventually(lambda: load.codes.total() == load.sent)
    return load, answered_per_s


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Run what is started meanwhile on one core, if there are several."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(cores)[core % len(cores)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextmanager
def without_collector() -> Iterator[None]:
    """Keep Python from looking through ten thousands of calls for garbage, while nothing is sent."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.fixture(scope="module")
def slow_data(tmp_path_factory) -> Path:
    return write_slow_list(tmp_path_factory.mktemp("slow") / "data")


# In a second, p99 is that of the beginning, before a server takes notice.
@pytest.mark.parametrize(
    ("seconds", "most_slowdown"),
    [(1.0, 20.0), pytest.param(20.0, 3.0, marks=[pytest.mark.long, pytest.mark.timeout(400)])],
)
@pytest.mark.parametrize(
    ("call_s", "proxied"),
    [
        pytest.param(0.0012, False, id="small"),
        pytest.param(0.008, False, id="large"),
        pytest.param(0.0012, True, id="small behind Envoy", marks=pytest.mark.long),
    ],
)
def test_what_is_too_much_is_refused_and_the_rest_answered_in_time(
    tmp_path, slow_data, capsys, call_s, proxied, seconds, most_slowdown
):
    """The machine differs from one second to the next, so each overload is compared with the peak right before it."""
    request = request_taking(call_s)
    goodputs, slowdowns = [], []
    with ExitStack() as stack:
        with on_core(0):
            running = stack.enter_context(serving(tmp_path / "server", slow_data, "--workers", 1))
        stack.enter_context(on_core(1))
        stack.enter_context(without_collector())
        address = running.address
        if proxied:
            address = stack.enter_context(envoy(tmp_path, [running.port])).address
        stubs = stack.enter_context(connected(address))
        closed_loop(stubs, request, 1.0)
        for _ in range(ROUNDS):
            at_peak, peak_per_s = closed_loop(stubs, request, min(seconds, 5.0))
            with watched_health(running.address) as health:
                over, answered_per_s = open_loop(stubs, request, TIMES * peak_per_s, seconds)
            goodputs.append(answered_per_s / peak_per_s)
            slowdowns.append(over.p99_ms() / at_peak.p99_ms())
            with capsys.disabled(), suppress(BrokenPipeError):
                print(  # noqa: T201
                    f"\n  {over.sent / seconds / peak_per_s:.1f} times the peak of {peak_per_s:.0f} calls/s: goodput "
                    f"{goodputs[-1]:.0%}, p99 {over.p99_ms():.0f} ms (at the peak {at_peak.p99_ms():.0f}), "
                    f"{dict(over.codes)}, {dict(health)}"
                )
            # gRPC itself refuses streams, as UNAVAILABLE, while too many that have ended are not put away yet.
            assert set(over.codes) <= {"OK", "RESOURCE_EXHAUSTED", "UNAVAILABLE"}
            assert set(at_peak.codes) == {"OK"}
            assert set(health) == {"SERVING"}
            # An overload is over once nothing has been refused for a second.
            sleep(1.2)
    # Generous: a second is short, and the machine may be shared.
    assert median(goodputs) > 0.6
    assert median(slowdowns) < most_slowdown


@pytest.mark.long
def test_callers_who_try_again_at_once_do_not_keep_an_overload_from_ending(tmp_path, slow_data):
    """Twelve are few enough to wait, once they are let in."""
    request = request_taking(0.008)
    with serving(tmp_path / "server", slow_data, "--workers", 1) as running, connected(running.address) as stubs:
        _, peak_per_s = closed_loop(stubs, request, 2.0)
        open_loop(stubs, request, TIMES * peak_per_s, 2.0)
        stuck, _ = closed_loop(stubs, request, 2.0)
        assert stuck.codes["RESOURCE_EXHAUSTED"]
        deadline_s = monotonic() + 20.0
        while closed_loop(stubs, request, 1.0)[0].codes["RESOURCE_EXHAUSTED"]:
            assert monotonic() < deadline_s


@contextmanager
def watched_health(address: str) -> Iterator[Counter[str]]:
    """Ask for the health over and over; yield how often each was the answer."""
    health: Counter[str] = Counter()
    stop = threading.Event()

    def watch() -> None:
        with connected(address) as watching:
            while not stop.wait(0.05):
                health[watching.health("")] += 1

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield health
    finally:
        stop.set()
        watcher.join(30)
