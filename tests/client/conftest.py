"""A real gRPC server that answers as a test says, and one way to call it through either client."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass, field

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from nearhash.v1 import lookup_pb2, lookup_pb2_grpc
from nearhash_client import AsyncClient, Client, LookupResult

Answer = Callable[[lookup_pb2.LookupRequest, grpc.ServicerContext], lookup_pb2.LookupResponse]


@dataclass
class Peer(lookup_pb2_grpc.LookupServiceServicer):
    answer: Answer
    server: grpc.Server
    port: int
    health: health.HealthServicer
    requests: list[lookup_pb2.LookupRequest] = field(default_factory=list)

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def say(self, *, serving: bool) -> None:
        states = health_pb2.HealthCheckResponse
        self.health.set("nearhash.v1.LookupService", states.SERVING if serving else states.NOT_SERVING)

    def Lookup(self, request, context):  # noqa: N802
        self.requests.append(request)
        return self.answer(request, context)


def nothing(_request, _context) -> lookup_pb2.LookupResponse:
    return lookup_pb2.LookupResponse(generation=1, sequence=1)


@pytest.fixture
def serve() -> Iterator[Callable[..., Peer]]:
    peers = []

    def start(answer: Answer = nothing, *, port: int = 0, credentials: grpc.ServerCredentials | None = None) -> Peer:
        server = grpc.server(futures.ThreadPoolExecutor(8))
        address = f"127.0.0.1:{port}"
        if credentials is None:
            bound = server.add_insecure_port(address)
        else:
            bound = server.add_secure_port(address, credentials)
        peers.append(Peer(answer, server, bound, health.HealthServicer()))
        peers[-1].say(serving=True)
        health_pb2_grpc.add_HealthServicer_to_server(peers[-1].health, server)
        lookup_pb2_grpc.add_LookupServiceServicer_to_server(peers[-1], server)
        server.start()
        return peers[-1]

    yield start
    for peer in peers:
        peer.server.stop(0).wait()


def lookup_sync(target, hashes, *, tls=None, token=None, max_batch: int = 4096, **arguments) -> LookupResult:
    with Client(target, tls=tls, token=token, max_batch=max_batch) as client:
        return client.lookup(hashes, **arguments)


def lookup_aio(target, hashes, *, tls=None, token=None, max_batch: int = 4096, **arguments) -> LookupResult:
    async def run() -> LookupResult:
        async with AsyncClient(target, tls=tls, token=token, max_batch=max_batch) as client:
            return await client.lookup(hashes, **arguments)

    return asyncio.run(run())


@pytest.fixture(params=[lookup_sync, lookup_aio], ids=["sync", "aio"])
def lookup(request) -> Callable[..., LookupResult]:
    return request.param
