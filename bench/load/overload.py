"""More calls than a worker can answer: what it still answers in time, and whether it says it is well."""

from __future__ import annotations

import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc
from bench.load.calls import LOOKUP, Calls
from bench.load.closed_loop import closed_loop, peak
from bench.load.envoy import envoy_before
from bench.load.latencies import Answers, together
from bench.load.listed import SEED, Listed
from bench.load.open_loop import open_loop
from bench.load.serving import proportional_bytes, serving
from bench.load.steady import cores
from grpc_health.v1 import health_pb2, health_pb2_grpc

__all__ = ["overload", "watching_health"]

_ROUNDS, _ROUND_S = 3, 3.0
_ABOVE_S = 20.0
"""Long beside the 0.3 s in which a worker takes notice: p99 is that of an overload, and not of its beginning."""
_PEAK, _BELOW, _ABOVE = "peak", "at 80 % of peak", "above the peak"
_HEALTH_EVERY_S, _HEALTH_TIMEOUT_S = 0.1, 1.0


def overload(
    listed: Listed,
    batch: int,
    *,
    times: int = 3,
    deadline_s: float = 1.0,
    connections: int = 4,
    proxied: bool = False,
) -> dict[str, Any]:
    """Send one worker its peak, 80 % of it, and so many times its peak, in turn.

    Goodput and p99 are compared within each round: the machine is not the same from one to the next. Batches keep the
    generator cheap enough to send so much from one core. With `proxied`, Envoy is in between.
    """
    server_cpus, cpus = cores(1)
    requests = listed.requests(200_000 // batch, batch, seed=5)
    found: dict[str, list[Answers]] = {name: [] for name in (_PEAK, _BELOW, _ABOVE)}
    with ExitStack() as stack:
        server = stack.enter_context(serving(listed.published(), workers=1, cpus=server_cpus))
        addresses = (
            (stack.enter_context(envoy_before(server.addresses, cpus)).address,) if proxied else server.addresses
        )
        calls = Calls(addresses, LOOKUP, requests, deadline_s=deadline_s, connections=connections, cpus=cpus)
        under_way, _ = peak(calls, seconds=1.0)
        before_bytes = proportional_bytes(server.workers())
        with watching_health(server.addresses[0]) as health:
            for _ in range(_ROUNDS):
                found[_PEAK].append(closed_loop(calls, under_way=under_way, seconds=_ROUND_S))
                rate = found[_PEAK][-1].ok_per_s
                found[_BELOW].append(open_loop(calls, calls_per_s=rate * 0.8, seconds=_ROUND_S))
                found[_ABOVE].append(open_loop(calls, calls_per_s=rate * times, seconds=_ABOVE_S))
        after_bytes = proportional_bytes(server.workers())
    return {
        "list": listed.name,
        "radius": listed.radius,
        "seed": SEED,
        "batch": batch,
        "times": times,
        "deadline_s": deadline_s,
        "connections": connections,
        "proxied": proxied,
        "overload_s": _ABOVE_S,
        "server_cpus": server_cpus,
        "generator_cpus": cpus,
        **{name: _told(rounds) for name, rounds in found.items()},
        "goodput_by_round": [
            above.ok_per_s / at_peak.ok_per_s for at_peak, above in zip(found[_PEAK], found[_ABOVE], strict=True)
        ],
        "health": dict(health),
        "worker_pss_bytes": [before_bytes, after_bytes],
    }


def _told(rounds: list[Answers]) -> dict[str, Any]:
    p99_ms = [of_round.percentile_ms(99) for of_round in rounds]
    return {
        **together(rounds, sum(of_round.seconds for of_round in rounds)).told(),
        "p99_ms_by_round": p99_ms,
        "median_p99_ms": statistics.median(p99_ms),
    }


@contextmanager
def watching_health(address: str) -> Iterator[Counter[str]]:
    """Ask for the health ten times a second; yield how often each was the answer."""
    seen: Counter[str] = Counter()
    stop = threading.Event()

    def run() -> None:
        with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            while not stop.wait(_HEALTH_EVERY_S):
                started_s = time.monotonic()
                try:
                    answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=_HEALTH_TIMEOUT_S)
                    seen[health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)] += 1
                except grpc.RpcError as error:
                    seen[error.code().name] += 1
                seen["slowest_ms"] = max(seen["slowest_ms"], round((time.monotonic() - started_s) * 1000))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
