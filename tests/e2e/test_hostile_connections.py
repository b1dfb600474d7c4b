"""Connections that say nothing, or never finish what they began, and calls beside them."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from time import perf_counter

import grpc
import numpy as np
import pytest

from nearhash_index.hash_types import HASH_TYPES

from ..service.running import Running, Stubs, connected, descendants, eventually, serving
from ..service.sample import make_sample, write_sample

CONNECTIONS = 1000
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
MEGABYTE = 1 << 20


def headers_of_a_call() -> bytes:
    """Return the frame that begins a lookup; its message is still to come."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/nearhash.v1.LookupService/Lookup",
        ":authority": "localhost",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    # Literal fields without indexing, RFC 7541, section 6.2.2.
    block = b"".join(b"\x00" + bytes([len(k)]) + k.encode() + bytes([len(v)]) + v.encode() for k, v in fields.items())
    return len(block).to_bytes(3) + b"\x01\x04" + (1).to_bytes(4) + block


KINDS = {
    "idle": b"",
    "half a preface": PREFACE[:10],
    "no call": PREFACE + SETTINGS,
    "calls without a message": PREFACE + SETTINGS + headers_of_a_call(),
    "calls with half a message": PREFACE
    + SETTINGS
    + headers_of_a_call()
    + b"\x00\x00\x09\x00\x00\x00\x00\x00\x01"
    + b"\x00\x00\x00\x10\x00half",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("hostile")
    write_sample(folder / "data", make_sample())
    with serving(folder / "server", folder / "data", "--workers", 1) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * CONNECTIONS)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def resident_bytes(process_id: int) -> int:
    return int(Path(f"/proc/{process_id}/statm").read_text().split()[1]) * resource.getpagesize()


def answered(stubs: Stubs, value: bytes) -> bool:
    try:
        return bool(stubs.lookup(hash_type=1, hashes=value).matches)
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED:
            return False
        raise


@pytest.mark.parametrize("kind", KINDS)
def test_calls_are_answered_beside_a_thousand(running, capsys, kind):
    value = make_sample().hashes(HASH_TYPES["phash64"])[0]
    workers = descendants(running.process.pid)
    before = {worker: resident_bytes(worker) for worker in workers}
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", running.port), timeout=20))
            connection.sendall(KINDS[kind])
        with connected(running.address) as stubs:
            begin_s = perf_counter()
            # While so many calls wait, it may be told to try again.
            eventually(lambda: answered(stubs, value), every_s=0.05)
            first_s = perf_counter() - begin_s
            latencies_s = []
            for _ in range(100):
                begin_s = perf_counter()
                assert answered(stubs, value)
                assert stubs.health("") == "SERVING"
                latencies_s.append(perf_counter() - begin_s)
        grown = sum(resident_bytes(worker) - before[worker] for worker in workers)
    with capsys.disabled(), suppress(BrokenPipeError):
        print(  # noqa: T201
            f"\n  beside {CONNECTIONS:,} connections, {kind}: first answer in {first_s * 1e3:.0f} ms, then "
            f"p99 {np.quantile(latencies_s, 0.99) * 1e3:.1f} ms; {grown / MEGABYTE:+.0f} MB"
        )
    assert first_s < 10
    assert max(latencies_s) < 5
    assert grown < 200 * MEGABYTE


def test_more_connections_than_allowed_are_closed(tmp_path, running):
    with serving(tmp_path, running.data, "--set", "server.max_connections=20") as bounded, ExitStack() as stack:
        closed = 0
        with connected(bounded.address) as stubs:
            assert stubs.health("") == "SERVING"
            for _ in range(40):
                connection = stack.enter_context(socket.create_connection(("127.0.0.1", bounded.port), timeout=5))
                connection.sendall(PREFACE + SETTINGS)
                with suppress(ConnectionError):
                    closed += connection.recv(1) == b""
                    continue
                closed += 1
            assert closed >= 20
            assert stubs.health("") == "SERVING"
