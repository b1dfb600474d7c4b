from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from time import sleep

import grpc
import pytest

from nearhash.v1 import lookup_pb2, lookup_pb2_grpc
from nearhash_index import errors
from nearhash_service.metrics.calls import CallCounts
from nearhash_service.sight.observing import ObservingInterceptor
from nearhash_service.status import ErrorInterceptor

from ..running import Stubs, connected
from ..violations import refusal
from .scraped import Scraped


class Acting(lookup_pb2_grpc.LookupServiceServicer):
    """Does what the test says."""

    error: Exception | None = None

    def Lookup(self, request, context):  # noqa: ARG002, N802
        if self.error:
            raise self.error
        sleep(0.03)
        return lookup_pb2.LookupResponse()


@pytest.fixture
def counted() -> Iterator[tuple[Acting, Stubs, CallCounts]]:
    servicer, counts = Acting(), CallCounts()
    server = grpc.server(ThreadPoolExecutor(2), interceptors=[ObservingInterceptor(counts), ErrorInterceptor()])
    lookup_pb2_grpc.add_LookupServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with connected(f"127.0.0.1:{port}") as stubs:
        yield servicer, stubs, counts
    server.stop(0).wait()


def test_calls_are_counted_by_code_under_the_usual_names(counted):
    servicer, stubs, counts = counted
    for _ in range(3):
        stubs.lookup()
    for error, times in ((errors.UnknownName("x"), 2), (RuntimeError("x"), 1), (errors.StoreBusy("x"), 1)):
        servicer.error = error
        for _ in range(times):
            refusal(stubs.lookup)
    scraped = Scraped(counts.collect())
    lookup = {"grpc_type": "unary", "grpc_service": "nearhash.v1.LookupService", "grpc_method": "Lookup"}
    assert scraped.values("grpc_server_started_total", **lookup) == {(): 7}
    assert scraped.values("grpc_server_handled_total", **lookup) == {
        ("OK",): 3, ("NotFound",): 2, ("Internal",): 1, ("Aborted",): 1
    }  # fmt: skip
    assert scraped.values("grpc_server_handling_seconds_count", **lookup) == {(): 7}


def test_calls_are_timed(counted):
    _, stubs, counts = counted
    for _ in range(3):
        stubs.lookup()
    scraped = Scraped(counts.collect())
    assert scraped.total("grpc_server_handling_seconds_bucket", le="0.02") == 0
    assert scraped.total("grpc_server_handling_seconds_bucket", le="+Inf") == 3
    assert 0.09 <= scraped.total("grpc_server_handling_seconds_sum") < 30


def test_a_call_under_way_is_started_but_not_handled(counted):
    _, stubs, counts = counted
    future = stubs.lookups.Lookup.future(lookup_pb2.LookupRequest(), timeout=20)
    seen = []
    while not future.done():
        scraped = Scraped(counts.collect())
        seen.append(scraped.total("grpc_server_started_total") - scraped.total("grpc_server_handled_total"))
    assert max(seen) == 1
    scraped = Scraped(counts.collect())
    assert scraped.total("grpc_server_started_total") == scraped.total("grpc_server_handled_total") == 1


def test_a_call_refused_on_arrival_is_counted_but_not_timed(counted):
    _, stubs, counts = counted
    stubs.lookup()
    counts.of("/nearhash.v1.LookupService/Lookup").refuse("ResourceExhausted")
    scraped = Scraped(counts.collect())
    assert scraped.total("grpc_server_started_total") == 2
    assert scraped.total("grpc_server_handled_total", grpc_code="ResourceExhausted") == 1
    assert scraped.total("grpc_server_handling_seconds_count") == 1
