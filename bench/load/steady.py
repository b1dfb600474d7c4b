"""A steady load: peaks, what a call costs, and latency at half of the peak, each beside the echo of the same server."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from bench.load.calls import LOOKUP, Calls
from bench.load.closed_loop import closed_loop, peak
from bench.load.echoing_server import ECHO, SEARCH_ALONE
from bench.load.h2load import available, h2load_grpc
from bench.load.latencies import Answers
from bench.load.listed import SEED, Listed
from bench.load.open_loop import in_turn, open_loop
from bench.load.serving import Serving, cpu_s, proportional_bytes, serving

__all__ = ["BATCH", "cores", "steady"]

BATCH = 1024
_DISTINCT_REQUESTS, _DISTINCT_BATCHES = 20_000, 200
_H2LOAD_CALLS = 15_000
_ALONE_S = 3.0
_ROUNDS, _ROUND_S = 6, 3.0


def cores(workers: int) -> tuple[list[int], list[int]]:
    """Return the cores of the server and of the generator: apart for one worker, everything on all for more."""
    return ([0], [1]) if workers == 1 else ([], [])


def steady(listed: Listed, workers: int) -> dict[str, Any]:
    """Load a server with single hashes, batches, and echoes of single hashes."""
    server_cpus, cpus = cores(workers)
    singles = listed.requests(_DISTINCT_REQUESTS, 1, seed=1)
    batches = listed.requests(_DISTINCT_BATCHES, BATCH, seed=2)
    data = listed.published()
    with serving(data, workers=workers, cpus=server_cpus) as server:

        def calls(method: str, requests: list[bytes]) -> Calls:
            return Calls(server.address, method, requests, cpus=cpus)

        echo, single, batch = calls(ECHO, singles), calls(LOOKUP, singles), calls(LOOKUP, batches)
        found = {"echo": _peak(server, echo), "single": _peak(server, single), "batch": _peak(server, batch)}
        alone = _search_alone(server, listed, data, found["batch"]["under_way"] if workers == 1 else workers)
        rate = found["single"]["ok_per_s"] / 2
        latency = in_turn(
            {
                "single": lambda: open_loop(single, calls_per_s=rate, seconds=_ROUND_S),
                "echo": lambda: open_loop(echo, calls_per_s=rate, seconds=_ROUND_S),
            },
            rounds=_ROUNDS,
        )
        memory = proportional_bytes(server.workers())
        independent = _independent(server, singles[1], cpus) if available() else None
    return {
        "list": listed.name,
        "radius": listed.radius,
        "seed": SEED,
        "workers": workers,
        "server_cpus": server_cpus,
        "generator_cpus": cpus,
        "peak": found,
        "half_of_peak": latency,
        "search_alone_queries_per_s": alone,
        "workers_pss_bytes": memory,
        "h2load_calls_per_s": independent,
    }


def _peak(server: Serving, calls: Calls) -> dict[str, Any]:
    under_way, answers = peak(calls)
    cost_s = _cpu_per_call_s(server, lambda: closed_loop(calls, under_way=under_way, seconds=3))
    return {"under_way": under_way, "server_cpu_us_per_call": cost_s * 1e6, **answers.told()}


def _cpu_per_call_s(server: Serving, load: Callable[[], Answers]) -> float:
    before_s = cpu_s(server.workers())
    answers = load()
    return (cpu_s(server.workers()) - before_s) / answers.statuses["OK"]


def _search_alone(server: Serving, listed: Listed, data: Path, threads: int) -> float:
    """Let a worker search its own index, as fast as it can; return queries per second."""
    asked = {
        "data": str(data.resolve()),
        "hash_type": listed.hash_type,
        "radius": listed.radius,
        "seed": SEED,
        "batch": BATCH,
        "batches": _DISTINCT_BATCHES // 4,
        "threads": min(threads, 8),
        "seconds": _ALONE_S,
    }
    with grpc.insecure_channel(server.address) as channel:
        told = channel.unary_unary(SEARCH_ALONE)(json.dumps(asked).encode(), timeout=60)
    return float(json.loads(told)["queries_per_s"])


def _independent(server: Serving, request: bytes, cpus: list[int]) -> dict[str, float]:
    """Return the medians of some rounds, in which each method has its turn."""
    found: dict[str, list[float]] = {"echo": [], "single": []}
    for _ in range(_ROUNDS):
        for name, method in (("echo", ECHO), ("single", LOOKUP)):
            found[name].append(h2load_grpc(server.address, method, request, calls=_H2LOAD_CALLS, cpus=cpus))
    return {name: statistics.median(rates) for name, rates in found.items()}
