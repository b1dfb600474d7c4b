import asyncio
import threading
import time

import grpc
import pytest

from nearhash.v1 import lookup_pb2
from nearhash_client import AsyncClient, DeadlineExceeded, InvalidRequest, NotFound, ServerError, Unavailable


class InFlight:
    """Answers after a moment and remembers how many calls were under way at once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now = self.most = 0

    def __call__(self, _request, _context):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.1)
        with self.lock:
            self.now -= 1
        return lookup_pb2.LookupResponse()


@pytest.mark.parametrize("limit", [1, 3])
def test_as_many_calls_run_at_once_as_allowed(serve, limit):
    in_flight = InFlight()
    peer = serve(in_flight)

    async def run():
        async with AsyncClient(peer.target, max_batch=1, max_concurrent_calls=limit) as client:
            await client.lookup(range(9))

    asyncio.run(run())
    assert in_flight.most == limit
    assert len(peer.requests) == 9


def test_what_waits_for_others_to_end_does_so_no_longer_than_its_deadline(serve, monkeypatch):
    monkeypatch.setattr("nearhash_client.aio.MOST_CALLS", 2)
    going_on = threading.Event()

    def answer(_request, _context):
        going_on.wait(20)
        return lookup_pb2.LookupResponse()

    peer = serve(answer)

    async def run():
        async with AsyncClient(peer.target) as client:
            first = [asyncio.create_task(client.lookup([1])) for _ in range(3)]
            await asyncio.sleep(0.1)
            with pytest.raises(DeadlineExceeded, match=r"timeout_s = 0\.2"):
                await client.lookup([1], timeout_s=0.2)
            assert len(peer.requests) == 2
            going_on.set()
            await asyncio.gather(*first)

    asyncio.run(run())
    assert len(peer.requests) == 3


def test_closing_fails_what_waits_for_others_to_end(serve, monkeypatch):
    monkeypatch.setattr("nearhash_client.aio.MOST_CALLS", 1)
    asked, going_on = threading.Event(), threading.Event()

    def answer(_request, _context):
        asked.set()
        going_on.wait(20)
        return lookup_pb2.LookupResponse()

    peer = serve(answer)

    async def run() -> list[object]:
        client = AsyncClient(peer.target)
        calls = [asyncio.create_task(client.lookup([1])) for _ in range(3)]
        await asyncio.to_thread(asked.wait, 20)
        await client.close()
        return await asyncio.gather(*calls, return_exceptions=True)

    try:
        _, *waiting = asyncio.run(run())
    finally:
        going_on.set()
    assert [type(error) for error in waiting] == [ServerError] * 2
    assert {str(error) for error in waiting} == {"CANCELLED: the client was closed"}


def test_the_first_failure_stops_the_parts_not_yet_sent(serve):
    def answer(_request, context):
        context.abort(grpc.StatusCode.NOT_FOUND, "no such bank")

    peer = serve(answer)

    async def run():
        async with AsyncClient(peer.target, max_batch=1, max_concurrent_calls=2) as client:
            await client.lookup(range(50))

    with pytest.raises(NotFound, match=r"^no such bank$") as caught:
        asyncio.run(run())
    assert isinstance(caught.value.__cause__, grpc.aio.AioRpcError)
    assert len(peer.requests) < 50


def test_cancelling_the_caller_cancels_the_calls(serve):
    cancelled = threading.Event()
    arrived = threading.Event()

    def answer(_request, context):
        context.add_callback(cancelled.set)
        arrived.set()
        cancelled.wait(10)
        return lookup_pb2.LookupResponse()

    peer = serve(answer)

    async def run():
        async with AsyncClient(peer.target) as client:
            task = asyncio.create_task(client.lookup([1]))
            await asyncio.to_thread(arrived.wait, 10)
            task.cancel()
            await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run())
    assert cancelled.wait(5)


def test_lookups_of_one_client_run_side_by_side(serve):
    in_flight = InFlight()
    peer = serve(in_flight)

    async def run():
        async with AsyncClient(peer.target) as client:
            await client.ready(timeout_s=10)
            return await asyncio.gather(*(client.lookup([value]) for value in range(4)))

    assert len(asyncio.run(run())) == 4
    assert in_flight.most > 1


def test_ready_names_the_server_that_is_not_there():
    async def run():
        async with AsyncClient("127.0.0.1:1") as client:
            await client.ready(timeout_s=0.3)

    with pytest.raises(Unavailable, match=r"no connection to 127\.0\.0\.1:1 within 0\.3"):
        asyncio.run(run())


def test_no_concurrency_is_refused():
    async def run():
        AsyncClient("127.0.0.1:1", max_concurrent_calls=0)

    with pytest.raises(InvalidRequest, match=r"^max_concurrent_calls: found 0; it is an int from 1"):
        asyncio.run(run())
