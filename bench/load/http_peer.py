"""Beside an HTTP service in the shape of HMA: two workers each, the same list, the same two cores for everything."""

from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
from bench.load.calls import LOOKUP, Calls
from bench.load.closed_loop import peak
from bench.load.h2load import h2load_grpc, h2load_http
from bench.load.listed import SEED, Listed
from bench.load.serving import proportional_bytes, resident_bytes, serving
from bench.load.steady import BATCH
from bench.measure import RESULTS
from threatexchange.signal_type.pdq.pdq_index import PDQIndex

from nearhash_client import Client

__all__ = ["http_peer"]

_WORKERS = 2
_CONNECTIONS = 16
_CALLS = 10_000


def http_peer(listed: Listed) -> dict[str, Any]:
    """Load both with h2load over 16 connections, and ours with batches, too; take the memory of their workers.

    A single hash is the same over and over for both. In batches hashes are different ones, and so for the peer beside
    them. To our memory counts what workers are forked from.
    """
    hashes = listed.queries(100, seed=6)
    different = listed.queries(_CALLS // 2, seed=8)
    with _peer(_index_file(listed)) as (url, process):
        expected = [_asked(url, value.tobytes().hex()) for value in hashes]
        same_per_s, different_per_s = (
            h2load_http(
                [f"{url}?signal={value.tobytes().hex()}" for value in values], calls=_CALLS, clients=_CONNECTIONS
            )
            for values in (hashes[1:2], different)
        )
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        peer_pss, peer_rss = (take(map(int, children)) for take in (proportional_bytes, resident_bytes))
    singles, batches = listed.requests(20_000, 1, seed=1), listed.requests(200, BATCH, seed=2)
    with serving(listed.published(), workers=_WORKERS) as server:
        _check(server.address, listed, hashes, expected)
        single_per_s = h2load_grpc(server.address, LOOKUP, singles[1], calls=_CALLS, clients=_CONNECTIONS, streams=1)
        _, of_python = peak(Calls(server.address, LOOKUP, singles))
        _, of_batches = peak(Calls(server.address, LOOKUP, batches))
        processes = [server.template(), *server.workers()]
        pss, rss = proportional_bytes(processes), resident_bytes(processes)
    return {
        "list": listed.name,
        "seed": SEED,
        "workers": _WORKERS,
        "peer": {
            "single_per_s": same_per_s,
            "different_per_s": different_per_s,
            "pss_bytes": peer_pss,
            "rss_bytes": peer_rss,
        },
        "ours": {
            "single_per_s": single_per_s,
            "single_per_s_python_generator": of_python.ok_per_s,
            "batched_hashes_per_s": of_batches.ok_per_s * BATCH,
            "pss_bytes": pss,
            "rss_bytes": rss,
        },
        "ratios": {
            "single": single_per_s / same_per_s,
            "batched": of_batches.ok_per_s * BATCH / different_per_s,
            "memory (PSS)": pss / peer_pss,
        },
    }


def _check(address: str, listed: Listed, hashes: Any, expected: list[set[str]]) -> None:
    """End the run if we do not answer what the peer answers."""
    with Client(address) as client:
        result = client.lookup([value.tobytes() for value in hashes], hash_type=listed.hash_type)
    found: list[set[str]] = [set() for _ in hashes]
    for match in result.matches:
        found[match.query].add(match.entry_id)
    if found != expected or not any(expected):
        raise RuntimeError("the answers differ from the peer's")


def _index_file(listed: Listed) -> Path:
    """Return the peer's index, pickled as HMA stores it; built if there is none yet."""
    path = RESULTS / "load" / f"{listed.name}.pdqindex"
    if not path.exists():
        faiss.omp_set_num_threads(2)
        index = PDQIndex((value.tobytes().hex(), f"entry-{i:09}") for i, value in enumerate(listed.hashes()))
        path.write_bytes(pickle.dumps(index))
    return path


@contextmanager
def _peer(index: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run gunicorn with sync workers; yield the URL once every worker has loaded the index."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "--workers",
        str(_WORKERS),
        "--worker-class",
        "sync",
        "--timeout",
        "120",
    ]
    environment = {**os.environ, "RAW_LOOKUP_INDEX": str(index), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*command, "--bind", f"127.0.0.1:{port}", "bench.load.raw_lookup:app"],
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}/m/raw_lookup"
    try:
        # Each worker takes one connection at a time, so that many in a row reach both.
        for _ in range(20):
            _asked(url, "0f" * 32, patience_s=60)
        time.sleep(5)
        yield url, process
    finally:
        process.terminate()
        process.wait(30)


def _asked(url: str, signal: str, patience_s: float = 0.0) -> set[str]:
    """Ask the peer which entries match; until it listens, wait."""
    end_s = time.monotonic() + patience_s
    while True:
        try:
            with urllib.request.urlopen(f"{url}?signal={signal}", timeout=60) as answer:  # noqa: S310 - http, ours
                return set(json.load(answer)["matches"])
        except OSError:
            if time.monotonic() > end_s:
                raise
            time.sleep(0.2)
