"""A flood of small lookups that Envoy bounds: more calls than a generator in Python could send."""

from __future__ import annotations

import re
import statistics
import urllib.request
from collections import Counter
from contextlib import ExitStack
from typing import Any

from bench.load.calls import LOOKUP
from bench.load.envoy import envoy_before
from bench.load.h2load import h2load_grpc
from bench.load.listed import SEED, Listed
from bench.load.overload import watching_health
from bench.load.serving import serving
from bench.load.steady import cores
from tests.service.running import free_port

__all__ = ["flood"]

_TIMES, _ROUNDS = 3, 3
_CLIENTS, _MOST_STREAMS = 4, 200
_ROUND_S = 12.0
"""The last of Envoy's intervals of 5 s, whose percentiles are taken, lies within."""
_SEARCH_CALLS = 20_000


def flood(listed: Listed, batch: int) -> dict[str, Any]:
    """Send one worker behind Envoy its peak and three times its peak, in turn, by h2load.

    What was answered OK is counted by the worker, since h2load takes each refusal for a success. Percentiles are
    Envoy's, of the calls that it let through.
    """
    server_cpus, cpus = cores(1)
    request = listed.requests(1, batch, seed=5)[0]
    rounds: list[dict[str, dict[str, Any]]] = []
    metrics = f"127.0.0.1:{free_port()}"
    with ExitStack() as stack:
        settings = [f"metrics.listen={metrics}"]
        server = stack.enter_context(serving(listed.published(), workers=1, cpus=server_cpus, settings=settings))
        proxy = stack.enter_context(envoy_before(server.addresses, cpus))

        def load(calls: int, streams: int, calls_per_s: float | None = None) -> dict[str, Any]:
            before = _handled(metrics)
            rates = {"clients": _CLIENTS, "streams": streams, "calls_per_s": calls_per_s}
            sent_per_s = h2load_grpc([proxy.address], LOOKUP, request, calls=calls, cpus=cpus, **rates)
            codes = _handled(metrics) - before
            ok_per_s = codes["OK"] / calls * sent_per_s
            return {
                "sent_per_s": sent_per_s,
                "ok_per_s": ok_per_s,
                "by_the_worker": dict(codes),
                "p99_ms": proxy.percentile_ms(99),
            }

        streams, per_s = 2, load(_SEARCH_CALLS, 2)["ok_per_s"]
        while (more := load(_SEARCH_CALLS, streams * 2)["ok_per_s"]) > per_s * 1.03:
            streams, per_s = streams * 2, more
        health = stack.enter_context(watching_health(server.addresses[0]))
        for _ in range(_ROUNDS):
            at_peak = load(round(per_s * _ROUND_S), streams)
            rate = at_peak["ok_per_s"] * _TIMES
            rounds.append({"peak": at_peak, "above the peak": load(round(rate * _ROUND_S), _MOST_STREAMS, rate)})
    return {
        "list": listed.name,
        "radius": listed.radius,
        "seed": SEED,
        "batch": batch,
        "times": _TIMES,
        "calls_under_way": streams * _CLIENTS,
        "round_s": _ROUND_S,
        "server_cpus": server_cpus,
        "generator_cpus": cpus,
        "rounds": rounds,
        "medians": {
            name: {
                fact: statistics.median(told[name][fact] for told in rounds)
                for fact in ("sent_per_s", "ok_per_s", "p99_ms")
            }
            for name in rounds[0]
        },
        "health": dict(health),
    }


def _handled(metrics: str) -> Counter[str]:
    """Return how many lookups a server has answered with which status."""
    with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    lines = re.findall(r'^grpc_server_handled_total\{(.*Lookup"[^}]*)\} (\S+)$', text, re.MULTILINE)
    return Counter({re.search(r'grpc_code="(\w+)"', labels)[1]: round(float(count)) for labels, count in lines})
