"""A steady load: peaks, what a call costs, and latency at half of the peak, each beside the echo of the same server."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc
from bench.load.calls import LOOKUP, Calls
from bench.load.closed_loop import closed_loop, peak
from bench.load.echoing_server import ECHO, SEARCH_ALONE
from bench.load.h2load import available, h2load_grpc
from bench.load.listed import SEED, Listed
from bench.load.open_loop import in_turn, open_loop
from bench.load.serving import Serving, cpu_s, proportional_bytes, serving

__all__ = ["BATCH", "cores", "steady"]

BATCH = 1024
_DISTINCT_REQUESTS, _DISTINCT_BATCHES = 20_000, 200
_H2LOAD_CALLS = 15_000
_ROUNDS, _ROUND_S, _PEAK_ROUND_S = 6, 3.0, 2.0


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
            return Calls(server.addresses, method, requests, cpus=cpus)

        echo, single, batch = calls(ECHO, singles), calls(LOOKUP, singles), calls(LOOKUP, batches)
        # As many of either, since more calls under way make each a little cheaper.
        singly, several = max(_most_useful(echo), _most_useful(single)), _most_useful(batch)
        loads = {"echo": (singly, echo), "single": (singly, single), "batch": (several, batch)}
        threads = several if workers == 1 else workers
        peaks = _peaks_in_turn(server, loads, lambda: _search_alone(server, listed, data, threads))
        rate = peaks["peak"]["single"]["ok_per_s"] / 2
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
        **peaks,
        "half_of_peak": latency,
        "workers_pss_bytes": memory,
        "h2load_calls_per_s": independent,
    }


def _most_useful(calls: Calls) -> int:
    """Return how many calls under way reach the peak."""
    return peak(calls, seconds=_PEAK_ROUND_S / 2)[0]


def _peaks_in_turn(
    server: Serving, loads: Mapping[str, tuple[int, Calls]], search_alone: Callable[[], float]
) -> dict[str, Any]:
    """Give each load its turn in some rounds, with so many calls under way; return medians.

    The noise of the machine is larger than what is of interest, so ratios are those within a round.
    """
    seen: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in loads}
    alone: list[float] = []
    for _ in range(_ROUNDS):
        for name, (under_way, calls) in loads.items():
            before_s = cpu_s(server.workers())
            answers = closed_loop(calls, under_way=under_way, seconds=_PEAK_ROUND_S)
            cost_s = (cpu_s(server.workers()) - before_s) / answers.statuses["OK"]
            told = answers.told()
            seen[name]["ok_per_s"].append(told["ok_per_s"])
            seen[name]["client_cpu_share"].append(told["client_cpu_share"])
            seen[name]["server_cpu_us_per_call"].append(cost_s * 1e6)
        alone.append(search_alone())
    echo, single, batch = (seen[name]["ok_per_s"] for name in ("echo", "single", "batch"))
    return {
        "peak": {
            name: {"under_way": loads[name][0], **{fact: statistics.median(values) for fact, values in facts.items()}}
            for name, facts in seen.items()
        },
        "search_alone_queries_per_s": statistics.median(alone),
        "ratios_by_round": {
            "single of echo": [ours / floor for ours, floor in zip(single, echo, strict=True)],
            "batch of index alone": [ours * BATCH / most for ours, most in zip(batch, alone, strict=True)],
        },
    }


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
        "seconds": _PEAK_ROUND_S,
    }
    with grpc.insecure_channel(server.addresses[0]) as channel:
        told = channel.unary_unary(SEARCH_ALONE)(json.dumps(asked).encode(), timeout=60)
    return float(json.loads(told)["queries_per_s"])


def _independent(server: Serving, request: bytes, cpus: list[int]) -> dict[str, float]:
    """Return the medians of some rounds, in which each method has its turn."""
    found: dict[str, list[float]] = {"echo": [], "single": []}
    for _ in range(_ROUNDS):
        for name, method in (("echo", ECHO), ("single", LOOKUP)):
            found[name].append(h2load_grpc(server.addresses, method, request, calls=_H2LOAD_CALLS, cpus=cpus))
    return {name: statistics.median(rates) for name, rates in found.items()}
