"""Which of gRPC's servers to use: threads, and how many, or asyncio, with or without uvloop (if it is installed).

    python -m bench.server_kinds

Each kind answers with the engine's whole lookup, in one process, under h2load: single hashes, and batches of 1024.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import grpc
from bench.load.calls import LOOKUP
from bench.load.h2load import h2load_grpc
from bench.load.listed import Listed
from bench.measure import save

from nearhash.v1 import lookup_pb2
from nearhash_index.codes import codes_from_bytes
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.lookup import lookup
from nearhash_index.store import DataDirectory, Registry
from nearhash_service.answering.served_view import ServedView

LISTED = Listed("phash64", 10**5)
HASH_TYPE = HASH_TYPES[LISTED.hash_type]
KINDS = ["threads 1", "threads 2", "threads 4", "threads 8", "threads 32", "asyncio", "uvloop"]
ROUNDS = 3
CALLS = {1: 15_000, 1024: 400}


def main() -> None:
    data = LISTED.published()
    requests = {batch: LISTED.requests(1, batch, seed=1)[0] for batch in CALLS}
    rates: dict[str, dict[int, float]] = {}
    for kind in KINDS:
        if kind == "uvloop" and find_spec("uvloop") is None:
            continue
        command = [sys.executable, "-m", "bench.server_kinds", kind, str(data)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout
            address = server.stdout.readline().strip()
            of_batch: dict[int, list[float]] = {batch: [] for batch in CALLS}
            for _ in range(ROUNDS):
                for batch, calls in CALLS.items():
                    rate = h2load_grpc([address], LOOKUP, requests[batch], calls=calls, clients=4, streams=8)
                    of_batch[batch].append(rate * batch)
            server.kill()
        rates[kind] = {batch: statistics.median(found) for batch, found in of_batch.items()}
        print(
            f"{kind:12}", *(f"{rate:10,.0f} hashes/s in batches of {b}" for b, rate in rates[kind].items()), flush=True
        )
    save("server-kinds", {"list": LISTED.name, "hashes_per_s": rates})


def serve(kind: str, data: str) -> None:
    directory = DataDirectory.create(Path(data))
    served = ServedView(directory, Registry(directory))
    served.refresh()

    def answer(request: lookup_pb2.LookupRequest, context: Any) -> lookup_pb2.LookupResponse:
        del context
        view = served.get()
        queries = codes_from_bytes(request.hashes, HASH_TYPE)
        found = lookup(view, HASH_TYPE, queries, radius=None, banks=(), max_matches=100)
        response = lookup_pb2.LookupResponse(generation=view.generation.manifest.number, sequence=view.sequence)
        for query, distance in zip(found.query.tolist(), found.distance.tolist(), strict=True):
            response.matches.add(query=query, distance=distance)
        return response

    async def answer_later(request: lookup_pb2.LookupRequest, context: Any) -> lookup_pb2.LookupResponse:
        return answer(request, context)

    def add_to(server: Any, behavior: Any) -> str:
        handler = grpc.unary_unary_rpc_method_handler(
            behavior,
            request_deserializer=lookup_pb2.LookupRequest.FromString,
            response_serializer=lookup_pb2.LookupResponse.SerializeToString,
        )
        _, service, method = LOOKUP.split("/")
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
        server.add_registered_method_handlers(service, {method: handler})
        return f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"

    async def run() -> None:
        server = grpc.aio.server()
        address = add_to(server, answer_later)
        await server.start()
        print(address, flush=True)
        await server.wait_for_termination()

    if kind.startswith("threads"):
        server = grpc.server(ThreadPoolExecutor(int(kind.split()[1])))
        address = add_to(server, answer)
        server.start()
        print(address, flush=True)
        server.wait_for_termination()
    elif kind == "uvloop":
        import uvloop  # noqa: PLC0415 - it need not be installed

        uvloop.run(run())
    else:
        asyncio.run(run())


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        serve(*sys.argv[1:]) if len(sys.argv) > 1 else main()
