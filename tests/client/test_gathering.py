"""Lookups of single hashes that go in one call, over both clients and a real server."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from nearhash.v1 import lookup_pb2
from nearhash_client import AsyncClient, Client, DeadlineExceeded, LookupResult, NotFound, Overloaded, ServerError

from .test_client import hashes_of


def threads(target: str, lookups: list[dict], **options) -> list[LookupResult | Exception]:
    """Look up all at once, a thread each; return results and errors in order."""
    with Client(target, **options) as client, ThreadPoolExecutor(len(lookups)) as pool:
        client.ready(10)
        futures = [pool.submit(client.lookup_one, **lookup) for lookup in lookups]
        return [future.exception() or future.result() for future in futures]


def tasks(target: str, lookups: list[dict], **options) -> list[LookupResult | BaseException]:
    """Look up all at once, a task each; return results and errors in order."""

    async def run() -> list[LookupResult | BaseException]:
        async with AsyncClient(target, **options) as client:
            await client.ready(10)
            return await asyncio.gather(*(client.lookup_one(**lookup) for lookup in lookups), return_exceptions=True)

    return asyncio.run(run())


@pytest.fixture(params=[threads, tasks])
def at_once(request) -> Callable[..., list]:
    return request.param


def slowly(seconds: float = 0.2):
    """Each hash matches the entry that is named like it."""

    def answer(request, _context):
        time.sleep(seconds)
        response = lookup_pb2.LookupResponse(generation=1)
        for query, value in enumerate(hashes_of(request)):
            response.matches.add(query=query, bank="b", entry_id=str(value))
        return response

    return answer


def test_each_caller_gets_its_own_answer(serve, at_once):
    peer = serve(slowly())
    results = at_once(peer.target, [{"value": value} for value in range(60)], max_concurrent_calls=1)
    assert [[(match.query, match.entry_id) for match in result.matches] for result in results] == [
        [(0, str(value))] for value in range(60)
    ]
    # The first goes alone, at once; nearly all others wait for it to end, and go together.
    assert len(peer.requests) <= 4
    assert len(peer.requests[0].hashes) == 8


def test_no_call_is_larger_than_allowed_and_no_more_run_at_once(serve, at_once):
    running, most, lock = 0, 0, threading.Lock()

    def answer(request, context):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        response = slowly(0.05)(request, context)
        with lock:
            running -= 1
        return response

    peer = serve(answer)
    results = at_once(peer.target, [{"value": value} for value in range(40)], max_concurrent_calls=2, max_batch=8)
    assert [result.matches[0].entry_id for result in results] == [str(value) for value in range(40)]
    assert max(len(request.hashes) for request in peer.requests) == 8 * 8
    assert most == 2


def test_lookups_that_ask_for_something_else_go_apart(serve, at_once):
    peer = serve(slowly(0.05))
    kinds = [{}, {"radius": 3}, {"banks": ["b"]}, {"hash_type": "dhash64"}, {"min_sequence": 4}]
    lookups = [{"value": value, **kind} for value in range(6) for kind in kinds]
    results = at_once(peer.target, lookups)
    assert [result.matches[0].entry_id for result in results] == [str(lookup["value"]) for lookup in lookups]
    asked = {
        (request.radius, tuple(request.banks), request.hash_type, request.min_sequence): 0 for request in peer.requests
    }
    assert len(asked) == len(kinds)


def test_an_error_reaches_every_caller_as_its_own(serve, at_once):
    def answer(_request, context):
        time.sleep(0.1)
        context.abort(grpc.StatusCode.NOT_FOUND, "no bank 'b'")

    errors = at_once(serve(answer).target, [{"value": value} for value in range(20)], max_concurrent_calls=1)
    assert {type(error) for error in errors} == {NotFound}
    assert {str(error) for error in errors} == {"no bank 'b'"}
    assert all(isinstance(error.__cause__, grpc.RpcError) for error in errors)
    assert len({id(error) for error in errors}) == 20


def test_each_keeps_its_own_deadline(serve, at_once):
    peer = serve(slowly(0.5))
    start = time.monotonic()
    patient = {"value": 1, "timeout_s": 20}
    hasty = {"value": 2, "timeout_s": 0.1}
    first, *others = at_once(peer.target, [patient, *[patient, hasty] * 5], max_concurrent_calls=1)
    assert [type(other) for other in others] == [LookupResult, DeadlineExceeded] * 5
    assert str(others[1]) == "the lookup was not answered within timeout_s = 0.1"
    assert first.matches[0].entry_id == "1"
    assert time.monotonic() - start < 5
    # Nobody waits for those any more, so they were not sent.
    assert [hashes_of(request) for request in peer.requests] == [[1], [1] * 5]


def test_a_call_ends_with_the_last_deadline(serve, at_once):
    over = threading.Event()

    def answer(_request, context):
        context.add_callback(over.set)
        over.wait(10)
        return lookup_pb2.LookupResponse()

    errors = at_once(serve(answer).target, [{"value": 1, "timeout_s": 0.2}])
    assert [type(error) for error in errors] == [DeadlineExceeded]
    assert over.wait(5)


def test_more_than_may_wait_are_refused_at_once(serve, at_once):
    peer = serve(slowly(0.3))
    start = time.monotonic()
    results = at_once(peer.target, [{"value": value} for value in range(12)], max_concurrent_calls=1, max_waiting=5)
    refused = [result for result in results if isinstance(result, Overloaded)]
    # One is sent at once, five wait.
    assert len(refused) == 6
    assert str(refused[0]) == "5 lookups wait in this client already; the server does not keep up"
    assert time.monotonic() - start < 5


def test_with_a_delay_the_first_waits_for_company(serve, at_once):
    peer = serve(slowly(0))
    results = at_once(peer.target, [{"value": value} for value in range(8)], max_delay_ms=300)
    assert [result.matches[0].entry_id for result in results] == [str(value) for value in range(8)]
    assert [len(request.hashes) for request in peer.requests] == [64]


def test_a_full_call_does_not_wait_for_the_delay(serve, at_once):
    peer = serve(slowly(0))
    start = time.monotonic()
    at_once(peer.target, [{"value": value} for value in range(8)], max_delay_ms=20_000, max_batch=8)
    assert time.monotonic() - start < 10
    assert [len(request.hashes) for request in peer.requests] == [64]


def test_what_a_token_function_raises_reaches_the_callers(serve, at_once):
    def token():
        raise LookupError("the vault is closed")

    errors = at_once(serve().target, [{"value": value} for value in range(3)], token=token)
    assert [str(error) for error in errors] == ["the vault is closed"] * 3


def test_closing_the_client_fails_those_who_wait(serve):
    over = threading.Event()

    def answer(_request, context):
        context.add_callback(over.set)
        over.wait(10)
        return lookup_pb2.LookupResponse()

    peer = serve(answer)
    client = Client(peer.target, max_concurrent_calls=1)
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(client.lookup_one, value) for value in range(4)]
        while not peer.requests:
            time.sleep(0.01)
        client.close()
        errors = [future.exception(10) for future in waiting]
    assert all(isinstance(error, ServerError | ValueError) for error in errors)


def test_closing_the_asyncio_client_fails_those_who_wait(serve):
    over = threading.Event()

    def answer(_request, context):
        context.add_callback(over.set)
        over.wait(10)
        return lookup_pb2.LookupResponse()

    peer = serve(answer)

    async def run():
        async with AsyncClient(peer.target, max_concurrent_calls=1) as client:
            waiting = [asyncio.create_task(client.lookup_one(value)) for value in range(4)]
            while not peer.requests:
                await asyncio.sleep(0.01)
        async with asyncio.timeout(10):
            return await asyncio.gather(*waiting, return_exceptions=True)

    first, *others = asyncio.run(run())
    assert isinstance(first, ServerError)
    assert all(isinstance(error, Exception) for error in others)


def test_cancelled_tasks_are_not_sent(serve):
    peer = serve(slowly(0.3))

    async def run():
        async with AsyncClient(peer.target, max_concurrent_calls=1) as client:
            first = asyncio.create_task(client.lookup_one(1))
            await asyncio.sleep(0.1)
            others = [asyncio.create_task(client.lookup_one(value)) for value in (2, 3, 4)]
            await asyncio.sleep(0)
            others[1].cancel()
            return await asyncio.gather(first, *others, return_exceptions=True)

    results = asyncio.run(run())
    assert isinstance(results[2], asyncio.CancelledError)
    assert [hashes_of(request) for request in peer.requests] == [[1], [2, 4]]
