"""Long lookups, over both clients."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable

import grpc
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from nearhash.v1 import lookup_pb2
from nearhash_client import AnsweredBatch, AsyncClient, Client, DeadlineExceeded, InvalidRequest, NotFound, Overloaded
from nearhash_client import aio as aio_client
from nearhash_client import client as client_module

from .test_client import hashes_of, match_multiples_of_three


def sync(target: str, hashes, *, take: int | None = None, max_batch=4, max_concurrent_calls=3, **options):
    with Client(target, max_batch=max_batch, max_concurrent_calls=max_concurrent_calls) as client:
        answers = client.lookup_many(hashes, **options)
        return list(answers) if take is None else [next(answers) for _ in range(take)]


def aio(target: str, hashes, *, take: int | None = None, max_batch=4, max_concurrent_calls=3, **options):
    async def run() -> list[AnsweredBatch]:
        async with AsyncClient(target, max_batch=max_batch, max_concurrent_calls=max_concurrent_calls) as client:
            answers = client.lookup_many(hashes, **options)
            if take is None:
                return [answer async for answer in answers]
            taken = [await anext(answers) for _ in range(take)]
            await answers.aclose()
            return taken

    return asyncio.run(run())


@pytest.fixture(params=[sync, aio])
def look_up_many(request) -> Callable[..., list[AnsweredBatch]]:
    return request.param


def test_they_are_bulk_lookups_and_others_are_not(serve, look_up_many):
    priorities = []

    def answer(_request, context):
        priorities.append(dict(context.invocation_metadata()).get("nearhash-priority"))
        return lookup_pb2.LookupResponse(generation=1)

    peer = serve(answer)
    look_up_many(peer.target, range(10))
    assert priorities == ["bulk"] * 3
    with Client(peer.target, max_batch=4) as client:
        client.lookup(range(10))
    assert priorities[3:] == [None] * 3


def test_answers_come_in_order_with_positions_in_the_whole_input(serve, look_up_many):
    def answer(request, context):
        # Earlier pieces take longer.
        time.sleep(0.05 if hashes_of(request)[0] % 8 == 0 else 0)
        return match_multiples_of_three(request, context)

    answers = look_up_many(serve(answer).target, iter(range(30)))
    assert [(batch.first_query, batch.next_query) for batch in answers] == [
        (n, min(n + 4, 30)) for n in range(0, 30, 4)
    ]
    matches = [match for batch in answers for match in batch.result.matches]
    assert [(match.query, match.entry_id) for match in matches] == [(n, str(n)) for n in range(0, 30, 3)]


def test_a_lookup_goes_on_where_another_stopped(serve, look_up_many):
    peer = serve(match_multiples_of_three)
    answers = look_up_many(peer.target, range(10, 20), first_query=10)
    assert [(match.query, match.entry_id) for batch in answers for match in batch.result.matches] == [
        (n, str(n)) for n in (12, 15, 18)
    ]


def test_no_more_is_read_or_sent_than_may_be_under_way(serve, look_up_many):
    peer = serve()
    read: list[int] = []

    def hashes():
        for value in range(10_000):
            read.append(value)
            yield value

    assert len(look_up_many(peer.target, hashes(), take=2)) == 2
    assert len(read) <= 5 * 4
    assert len(peer.requests) <= 5


def test_as_many_calls_run_at_once_as_allowed(serve, look_up_many):
    running, most, lock = 0, 0, threading.Lock()

    def answer(_request, _context):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.05)
        with lock:
            running -= 1
        return lookup_pb2.LookupResponse()

    look_up_many(serve(answer).target, range(40))
    assert most == 3


class Refuses:
    """RESOURCE_EXHAUSTED with a delay for the first calls, then an answer."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.lock = threading.Lock()

    def __call__(self, request, context):
        with self.lock:
            self.times -= 1
            refuses = self.times >= 0
        if refuses:
            detail = any_pb2.Any()
            detail.Pack(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=50_000_000)))
            status = status_pb2.Status(code=code_pb2.RESOURCE_EXHAUSTED, message="busy", details=[detail])
            context.abort_with_status(rpc_status.to_status(status))
        return match_multiples_of_three(request, context)


def test_pieces_that_a_busy_server_refuses_are_sent_again_when_it_says(serve, look_up_many):
    peer = serve(Refuses(5))
    start = time.monotonic()
    answers = look_up_many(peer.target, range(20))
    assert [match.query for batch in answers for match in batch.result.matches] == list(range(0, 20, 3))
    assert len(peer.requests) == 10
    assert 0.05 <= time.monotonic() - start < 10


def test_a_piece_is_given_up_at_its_deadline(serve, look_up_many):
    start = time.monotonic()
    with pytest.raises(Overloaded, match=r"^busy$") as caught:
        look_up_many(serve(Refuses(10_000)).target, range(20), timeout_s=1.0)
    assert caught.value.retry_after_s == 0.05
    assert time.monotonic() - start < 3


def test_a_pause_that_took_too_long_ends_with_what_it_was_made_for(serve, look_up_many, monkeypatch):
    for module in (client_module, aio_client):
        monkeypatch.setattr(module, "pause_s", lambda _error, _deadline: 1.1)
    peer = serve(Refuses(1))
    with pytest.raises(Overloaded, match=r"^busy$"):
        look_up_many(peer.target, range(4), timeout_s=1.0)
    assert len(peer.requests) == 1


def test_what_is_asked_again_and_then_not_answered_in_time_is_told_as_that(serve, look_up_many):
    refuses, over = Refuses(1), threading.Event()

    def answer(request, context):
        response = refuses(request, context)
        over.wait(10)
        return response

    with pytest.raises(DeadlineExceeded):
        look_up_many(serve(answer).target, range(4), timeout_s=1.0)
    over.set()


def test_another_error_ends_it_after_what_was_answered(serve):
    def answer(request, context):
        if 9 in hashes_of(request):
            context.abort(grpc.StatusCode.NOT_FOUND, "no bank 'b'")
        return lookup_pb2.LookupResponse()

    with Client(serve(answer).target, max_batch=4) as client:
        answers = client.lookup_many(range(20))
        assert [next(answers).next_query, next(answers).next_query] == [4, 8]
        with pytest.raises(NotFound, match=r"^no bank 'b'$"):
            next(answers)


def test_wrong_arguments_are_told_before_the_first_answer_is_taken():
    with Client("127.0.0.1:1") as client:
        for wrong in ({"radius": 65}, {"first_query": -1}, {"timeout_s": 0}):
            with pytest.raises(InvalidRequest, match=f"^{next(iter(wrong))}: found"):
                client.lookup_many([1], **wrong)


def test_the_input_may_come_asynchronously(serve):
    peer = serve(match_multiples_of_three)

    async def hashes() -> AsyncIterator[int]:
        for value in range(10):
            await asyncio.sleep(0)
            yield value

    answers = aio(peer.target, hashes())
    assert [match.query for batch in answers for match in batch.result.matches] == [0, 3, 6, 9]
