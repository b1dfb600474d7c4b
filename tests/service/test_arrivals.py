"""Calls whose messages are on their way: a real gRPC server, a pool of one thread, and callers who send when told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from time import sleep
from typing import Any

import grpc
import pytest
from google.rpc import code_pb2
from grpc_status import rpc_status

from nearhash_service.config import AdmissionSection
from nearhash_service.metrics.buckets import SECONDS, Buckets
from nearhash_service.metrics.instruments import Instruments
from nearhash_service.scheduling import arrivals
from nearhash_service.scheduling.call_pool import CallPool
from nearhash_service.scheduling.lanes import Lanes
from nearhash_service.scheduling.reception import Reception

from .running import eventually

METHOD = "/test/Reversed"
AWAITED = 5


@pytest.fixture
def pool() -> Iterator[CallPool]:
    with CallPool("calls", 1, Buckets(SECONDS)) as pool:
        yield pool


@pytest.fixture
def go() -> Iterator[threading.Event]:
    """Until it is set, a message b"wait" is not answered."""
    go = threading.Event()
    yield go
    go.set()


@pytest.fixture
def answered() -> list[bytes]:
    return []


@pytest.fixture
def channel(pool: CallPool, go: threading.Event, answered: list[bytes]) -> Iterator[grpc.Channel]:
    def answer(message: bytes, context: grpc.ServicerContext) -> bytes:
        del context
        answered.append(message)
        if message == b"wait":
            go.wait(30)
        return message[::-1]

    answer.experimental_thread_pool = pool  # type: ignore[attr-defined]
    handler = grpc.unary_unary_rpc_method_handler(answer, request_deserializer=undamaged)
    server = grpc.server(CallPool("others", 1, Buckets(SECONDS)))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", {"Reversed": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    server.stop(0).wait()


def undamaged(message: bytes) -> bytes:
    if message == b"damaged":
        raise ValueError("damaged")
    return message


class Slow:
    """A call whose message is sent when told, or never: on the wire it looks as any other."""

    def __init__(self, channel: grpc.Channel, timeout_s: float = 60) -> None:
        self._message: bytes | None = None
        self._told = threading.Event()
        self.call: Any = channel.stream_unary(METHOD).future(self._messages(), timeout=timeout_s)

    def _messages(self) -> Iterator[bytes]:
        self._told.wait(60)
        if self._message is not None:
            yield self._message

    def send(self, message: bytes | None) -> None:
        self._message = message
        self._told.set()

    def __enter__(self) -> Slow:
        return self

    def __exit__(self, *_: object) -> None:
        self.call.cancel()
        self._told.set()

    def code(self) -> grpc.StatusCode:
        return self.call.code()


def reversed_by(channel: grpc.Channel, message: bytes) -> bytes:
    return channel.unary_unary(METHOD)(message, timeout=10)


def test_this_version_of_grpc_is_known():
    assert arrivals._KNOWN


def test_no_thread_waits_for_a_message(channel, pool):
    with ExitStack() as stack:
        slow = [stack.enter_context(Slow(channel)) for _ in range(50)]
        eventually(lambda: pool.unfinished() == 50)
        assert reversed_by(channel, b"abc") == b"cba"
        # The caller has its answer a moment before the pool is done with the call.
        eventually(lambda: (pool.waiting, pool.unfinished()) == (0, 50))
        for i, call in enumerate(slow):
            call.send(b"%02d" % i)
        assert [call.call.result(10) for call in slow] == [(b"%02d" % i)[::-1] for i in range(50)]
    eventually(lambda: pool.unfinished() == 0)


def test_an_empty_message_is_one(channel):
    assert reversed_by(channel, b"") == b""


def test_messages_that_wait_for_a_thread_are_counted(channel, pool, go):
    calls = [channel.unary_unary(METHOD).future(b"wait")]
    eventually(lambda: pool.unfinished() == 1 and not pool.waiting)
    calls += [channel.unary_unary(METHOD).future(message) for message in (b"12345", b"67")]
    eventually(lambda: (pool.waiting, pool.waiting_bytes) == (2, 7))
    go.set()
    assert [call.result(10) for call in calls] == [b"tiaw", b"54321", b"76"]
    assert (pool.waiting, pool.waiting_bytes) == (0, 0)


def test_calls_that_nobody_waits_for_any_more_are_counted_and_not_answered(channel, pool, go, answered):
    first = channel.unary_unary(METHOD).future(b"wait")
    eventually(lambda: answered)
    others = [channel.unary_unary(METHOD).future(b"%d" % i, timeout=(0.2, 20)[i % 2]) for i in range(10)]
    for call in others[::2]:
        assert call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    # The server hears of it a moment later, if at all before it looks at its own clock.
    sleep(0.3)
    assert pool.late_count == 0
    go.set()
    assert [first.result(10), *(call.result(10) for call in others[1::2])] == [b"tiaw", b"1", b"3", b"5", b"7", b"9"]
    assert pool.late_count == 5
    assert answered == [b"wait", b"1", b"3", b"5", b"7", b"9"]


@pytest.mark.parametrize(
    ("message", "code"), [(None, grpc.StatusCode.UNIMPLEMENTED), (b"damaged", grpc.StatusCode.INTERNAL)]
)
def test_a_call_without_a_message_that_is_one_is_refused(channel, pool, message, code):
    with Slow(channel) as call:
        call.send(message)
        eventually(call.call.done)
        assert call.code() == code
    eventually(lambda: pool.unfinished() == 0)
    assert reversed_by(channel, b"abc") == b"cba"


@pytest.mark.parametrize("how", ["cancelled", "too late"])
def test_a_call_that_ends_before_its_message_comes_is_forgotten(channel, pool, how):
    with Slow(channel, timeout_s=0.2 if how == "too late" else 60) as call:
        eventually(lambda: pool.unfinished() == 1)
        if how == "cancelled":
            call.call.cancel()
        eventually(lambda: pool.unfinished() == 0)


def test_a_call_that_ends_before_its_turn_is_not_answered(channel, pool, go, answered):
    first = channel.unary_unary(METHOD).future(b"wait")
    eventually(lambda: pool.unfinished() == 1 and not pool.waiting)
    second = channel.unary_unary(METHOD).future(b"abc", timeout=0.2)
    eventually(second.done)
    assert second.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    # The server learns of it on its own.
    sleep(0.5)
    go.set()
    assert first.result(10) == b"tiaw"
    eventually(lambda: pool.unfinished() == 0)
    assert answered == [b"wait"]


def test_where_too_many_are_awaited_the_oldest_is_given_up(channel, pool, monkeypatch, caplog):
    monkeypatch.setattr(arrivals, "_MOST_AWAITED", AWAITED)
    monkeypatch.setattr(arrivals, "_TELL_EVERY_S", 600.0)
    with ExitStack() as stack:
        slow = []
        for i in range(3 * AWAITED):
            slow.append(stack.enter_context(Slow(channel)))
            eventually(lambda i=i: pool.unfinished() == min(i + 1, AWAITED))
        eventually(lambda: all(call.call.done() for call in slow[: 2 * AWAITED]))
        assert not any(call.call.done() for call in slow[2 * AWAITED :])
        assert {call.code() for call in slow[: 2 * AWAITED]} == {grpc.StatusCode.CANCELLED}
        assert reversed_by(channel, b"abc") == b"cba"
    assert [record.getMessage() for record in caplog.records] == ["1 calls given up so far whose messages did not come"]


@pytest.mark.parametrize("known", [True, False])
def test_a_call_is_refused_with_what_its_status_tells(pool, monkeypatch, known):
    """Before its message is read, which the caller does not notice."""
    monkeypatch.setattr(arrivals, "_KNOWN", known)
    lanes = Lanes(AdmissionSection(), Instruments())
    reception = Reception(lanes, Instruments().refused, Instruments().calls)
    reception.drain()
    server = grpc.server(pool, interceptors=[reception])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_retries", 0)]) as channel:
        call = channel.unary_unary("/nearhash.v1.BankService/GetStatus")
        for _ in range(20):
            with pytest.raises(grpc.RpcError) as refused:
                call(b"", timeout=10)
            status = rpc_status.from_call(refused.value)
            assert (refused.value.code(), status.code) == (grpc.StatusCode.UNAVAILABLE, code_pb2.UNAVAILABLE)
            assert "about to end" in refused.value.details() == status.message
    server.stop(0).wait()
    for lane in lanes.all():
        lane.pool.shutdown()


def test_with_a_version_that_is_not_known_threads_wait_for_messages(channel, pool, monkeypatch):
    monkeypatch.setattr(arrivals, "_KNOWN", False)
    assert reversed_by(channel, b"abc") == b"cba"
    with Slow(channel) as call:
        eventually(lambda: pool.unfinished() == 1)
        call.send(b"abc")
        assert call.call.result(10) == b"cba"


@pytest.mark.parametrize("name", ["_receive_message", "_unary_response_in_pool", "_RECEIVE_MESSAGE_TOKEN"])
def test_a_version_is_not_known_that_lacks_or_renames_anything(monkeypatch, name):
    monkeypatch.delattr(arrivals._server, name)
    assert not arrivals._is_known()


def test_nor_one_that_takes_other_arguments(monkeypatch):
    monkeypatch.setattr(arrivals._server, "_receive_message", lambda state, call: (state, call))
    assert not arrivals._is_known()
