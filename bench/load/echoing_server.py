"""`nearhash serve` with two more methods, for the benchmarks alone.

    python -m bench.load.echoing_server serve --data data ...

It is the real command: its own supervisor, workers, interceptors and threads. Workers are spawned, so they import this
module again, and every server that they make answers also:

- Echo returns the request: what a call costs when the handler does nothing.
- SearchAlone searches the served index itself for a while, without messages, banks or entries.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from nearhash_index.codes import codes_from_bytes
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import DataDirectory, Generation
from nearhash_service.__main__ import main
from nearhash_service.access.rights import ROLES

# A name like those of the services, so that all that stands around them stands around it.
SERVICE = "nearhash.v1.BenchService"
ECHO = f"/{SERVICE}/Echo"
SEARCH_ALONE = f"/{SERVICE}/SearchAlone"


def _echo(request: bytes, context: grpc.ServicerContext) -> bytes:
    del context
    return request


def _search_alone(request: bytes, context: grpc.ServicerContext) -> bytes:
    """Search batches over and over on some threads; answer how many queries a second that gives."""
    del context
    asked = json.loads(request)
    directory = DataDirectory(Path(asked["data"]))
    hash_type = HASH_TYPES[asked["hash_type"]]
    # The map that the worker serves from: an open one is found again by its path.
    index = Generation.open(directory.generation_path(directory.current().number)).segments[hash_type.name].index
    rng = np.random.default_rng(asked["seed"])
    batches = [
        codes_from_bytes(rng.bytes(asked["batch"] * hash_type.size_bytes), hash_type) for _ in range(asked["batches"])
    ]

    def search_on(thread: int) -> int:
        searched = 0
        while time.perf_counter() < end_s:
            index.search(batches[(thread + searched) % len(batches)], asked["radius"])
            searched += 1
        return searched

    with ThreadPoolExecutor(asked["threads"]) as pool:
        start_s = time.perf_counter()
        end_s = start_s + asked["seconds"]
        searched = sum(pool.map(search_on, range(asked["threads"])))
    rate = searched * asked["batch"] / (time.perf_counter() - start_s)
    return json.dumps({"queries_per_s": rate}).encode()


def _with_bench_methods(make: Callable[..., grpc.Server]) -> Callable[..., grpc.Server]:
    def making(*arguments: Any, **options: Any) -> grpc.Server:
        server = make(*arguments, **options)
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(method, request_deserializer=bytes)
            for name, method in {"Echo": _echo, "SearchAlone": _search_alone}.items()
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        return server

    return making


# Whoever may look up may call them.
ROLES.update(dict.fromkeys((ECHO, SEARCH_ALONE), frozenset({"lookup"})))
# At import, and not below: a spawned worker imports this module, but does not run it.
grpc.server = _with_bench_methods(grpc.server)

if __name__ == "__main__":
    main()
