"""Spans as a collector receives them: a small one, over OTLP."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from nearhash.v1 import lookup_pb2
from nearhash_index.errors import InvalidInput
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import DataDirectory
from nearhash_service.config import TracingSection
from nearhash_service.server import Server
from nearhash_service.sight.tracing import Tracing

from .running import connected, eventually
from .violations import refusal

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps the spans that it is sent, and their bytes."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.received = b""
        self.endpoint = ""

    def Export(self, request, context):  # noqa: ARG002, N802
        self.received += request.SerializeToString()
        self.spans += [
            span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans
        ]
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.fixture
def collector() -> Iterator[Collector]:
    servicer = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(servicer, server)
    servicer.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield servicer
    server.stop(0).wait()


def attributes(span: Span) -> dict[str, object]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in span.attributes}


def test_a_call_is_a_span_in_its_callers_trace_and_tells_no_hash(serve, data, sample, collector):
    running = serve(data, f"--set=tracing.endpoint={collector.endpoint}", "--set=tracing.share=0")
    hashes = sample.hashes(HASH_TYPES["pdq256"])[:50]
    request = lookup_pb2.LookupRequest(hash_type=5, hashes=b"".join(hashes))
    with connected(running.address) as stubs:
        stubs.lookup(hash_type=5, hashes=hashes[0])
        metadata = [("traceparent", f"00-{TRACE}-{PARENT}-01")]
        response = stubs.lookups.Lookup(request, metadata=metadata, timeout=20)
    assert running.stop() == 0
    # The untraced one is left out: its share is 0.
    (span,) = eventually(lambda: collector.spans)
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    assert (span.name, span.kind) == ("nearhash.v1.LookupService/Lookup", Span.SPAN_KIND_SERVER)
    assert attributes(span) == {
        "rpc.system": "grpc",
        "rpc.service": "nearhash.v1.LookupService",
        "rpc.method": "Lookup",
        "rpc.grpc.status_code": 0,
        "nearhash.hash_type": "pdq256",
        "nearhash.query_count": 50,
        "nearhash.generation": 1,
        "nearhash.match_count": len(response.matches),
    }
    assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 20e9
    assert not [value for value in hashes if value in collector.received or value.hex().encode() in collector.received]


def test_errors_are_spans_too_and_only_the_servers_own_are_marked(tmp_path, data, collector, monkeypatch):
    tracing = Tracing.to(TracingSection(endpoint=collector.endpoint, share=1.0))
    address = f"unix:{tmp_path}/socket"
    with Server(DataDirectory(data), address, tracing=tracing), connected(address) as stubs:
        refusal(lambda: stubs.lookup(hash_type=5, hashes=b"x"))
        monkeypatch.setattr("nearhash_service.answering.lookup_service.lookup_in_blocks", None)
        # So many that they are not answered without it.
        refusal(lambda: stubs.lookup(hash_type=5, hashes=bytes(range(32)) * 17))
    tracing.close()
    theirs, ours = collector.spans
    assert [attributes(span)["rpc.grpc.status_code"] for span in (theirs, ours)] == [3, 13]
    assert [span.status.code for span in (theirs, ours)] == [0, 2]
    assert b"NoneType" not in collector.received


def test_without_an_endpoint_opentelemetry_is_not_even_loaded():
    loaded = "any(name.startswith('opentelemetry') for name in sys.modules)"
    program = f"import nearhash_service.processes.worker, sys; sys.exit({loaded})"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0
    assert Tracing.to(TracingSection()) is None


def test_what_is_not_installed_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)
    with pytest.raises(InvalidInput, match=r"tracing\.endpoint: .*nearhash\[tracing\]"):
        TracingSection(endpoint="http://127.0.0.1:4317")
    assert TracingSection().endpoint is None
