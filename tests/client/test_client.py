import re
import threading
import time

import grpc
import pytest

from nearhash.v1 import lookup_pb2
from nearhash_client import (
    Client,
    DeadlineExceeded,
    InvalidRequest,
    LookupResult,
    Match,
    NotFound,
    ServerError,
    Unavailable,
    Unsearchable,
)

WIDTH_BYTES = 8


def hashes_of(request: lookup_pb2.LookupRequest) -> list[int]:
    starts = range(0, len(request.hashes), WIDTH_BYTES)
    return [int.from_bytes(request.hashes[start : start + WIDTH_BYTES], "big") for start in starts]


def match_multiples_of_three(request, _context):
    """Matches 0, 3, 6 ...; cannot search 1; has too many matches for 2. Later parts come from earlier generations."""
    response = lookup_pb2.LookupResponse(generation=100 - hashes_of(request)[0], sequence=200 - hashes_of(request)[0])
    for query, value in enumerate(hashes_of(request)):
        if value % 3 == 0:
            response.matches.add(query=query, distance=2, bank="b", entry_id=str(value), source="s", labels=["x", "y"])
        elif value % 3 == 1:
            response.unsearchable.add(query=query, reason=f"flat {value}")
        else:
            response.truncated.append(query)
    return response


def test_one_call_carries_the_arguments_and_brings_the_answer(serve, lookup):
    peer = serve(
        lambda _request, _context: lookup_pb2.LookupResponse(
            generation=7,
            sequence=41,
            matches=[
                lookup_pb2.Match(query=1, distance=3, bank="b", entry_id="e", source="s", labels=["x"], hash=bytes(8)),
                lookup_pb2.Match(query=1, distance=4, bank="b", entry_id="f", source="s"),
            ],
            unsearchable=[lookup_pb2.Unsearchable(query=0, reason="flat")],
            truncated=[1],
        )
    )
    result = lookup(
        peer.target,
        [1, 2],
        hash_type="dhash64",
        radius=0,
        banks=("b", "c"),
        max_matches_per_hash=5,
        min_sequence=40,
        timeout_s=10,
    )
    assert result == LookupResult(
        generation=7,
        sequence=41,
        matches=(Match(1, 3, "b", "e", "s", ("x",), bytes(8)), Match(1, 4, "b", "f", "s", (), None)),
        unsearchable=(Unsearchable(0, "flat"),),
        truncated=(1,),
    )
    (request,) = peer.requests
    assert request.HasField("radius")
    assert request == lookup_pb2.LookupRequest(
        hash_type=lookup_pb2.HASH_TYPE_DHASH64,
        hashes=(1).to_bytes(8, "big") + (2).to_bytes(8, "big"),
        radius=0,
        banks=["b", "c"],
        max_matches_per_hash=5,
        min_sequence=40,
    )


def test_left_out_arguments_are_left_to_the_server(serve, lookup):
    peer = serve()
    lookup(peer.target, [1])
    (request,) = peer.requests
    assert request == lookup_pb2.LookupRequest(hash_type=lookup_pb2.HASH_TYPE_PHASH64, hashes=bytes(7) + b"\x01")
    assert not request.HasField("radius")


def test_banks_may_come_from_an_iterator(serve, lookup):
    # Used up by a check, it would search every bank.
    peer = serve()
    lookup(peer.target, [1], banks=iter(["b", "c"]))
    assert peer.requests[0].banks == ["b", "c"]


@pytest.mark.parametrize("count", [1, 4, 5, 8, 11])
def test_a_large_batch_is_split_and_merged_with_its_own_positions(serve, lookup, count):
    peer = serve(match_multiples_of_three)
    result = lookup(peer.target, range(count), max_batch=4, radius=2, banks=["b"])
    sent = sorted(hashes_of(request) for request in peer.requests)
    assert sent == [list(range(first, min(first + 4, count))) for first in range(0, count, 4)]
    assert all(request.radius == 2 and request.banks == ["b"] for request in peer.requests)
    assert [(match.query, match.entry_id) for match in result.matches] == [(n, str(n)) for n in range(0, count, 3)]
    assert result.unsearchable == tuple(Unsearchable(n, f"flat {n}") for n in range(1, count, 3))
    assert result.truncated == tuple(range(2, count, 3))
    last_first = (count - 1) // 4 * 4
    assert (result.generation, result.sequence) == (100 - last_first, 200 - last_first)


def test_at_most_4096_hashes_go_in_one_call(serve, lookup):
    peer = serve()
    lookup(peer.target, range(4097))
    assert sorted(len(request.hashes) for request in peer.requests) == [8, 4096 * 8]


def test_one_failing_part_fails_the_lookup_with_its_own_error(serve, lookup):
    def answer(request, context):
        if 5 in hashes_of(request):
            context.abort(grpc.StatusCode.NOT_FOUND, "no bank 'b'")
        return lookup_pb2.LookupResponse()

    peer = serve(answer)
    with pytest.raises(NotFound, match=r"^no bank 'b'$"):
        lookup(peer.target, range(8), max_batch=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hashes": []}, "hashes: found none; pass at least one hash"),
        ({"hash_type": "phash"}, "hash_type: found 'phash'; it is one of phash64, "),
        ({"radius": -1}, "radius: found -1; it is an int from 0 to 64"),
        ({"radius": 65}, "radius: found 65; it is an int from 0 to 64"),
        ({"radius": 8.0}, "radius: found float; it is an int from 0 to 64"),
        ({"banks": "ncmec"}, "banks: found the str 'ncmec'; pass a sequence of names, ['ncmec']"),
        ({"banks": ["ncmec", 3]}, "banks[1]: found int; a bank's name is a str"),
        ({"max_matches_per_hash": -1}, "max_matches_per_hash: found -1; it is an int from 0 to 4294967295"),
        ({"min_sequence": -1}, "min_sequence: found -1; it is an int from 0 to 18446744073709551615"),
        ({"timeout_s": 0}, "timeout_s: found 0; it is a number of seconds above 0, or None"),
        ({"max_batch": 0}, "max_batch: found 0; it is an int from 1 to "),
    ],
)
def test_a_wrong_argument_is_named_and_nothing_is_sent(serve, lookup, arguments, message):
    peer = serve()
    with pytest.raises(InvalidRequest, match="^" + re.escape(message)):
        lookup(peer.target, **{"hashes": [1], **arguments})
    assert peer.requests == []


def test_a_slow_server_is_given_up_at_the_deadline(serve, lookup):
    over = threading.Event()

    def answer(_request, _context):
        over.wait(10)
        return lookup_pb2.LookupResponse()

    peer = serve(answer)
    start = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        lookup(peer.target, [1], timeout_s=0.3)
    assert 0.3 <= time.monotonic() - start < 3
    over.set()


def test_one_deadline_holds_for_all_parts_together(serve, lookup):
    def answer(_request, _context):
        time.sleep(0.2)
        return lookup_pb2.LookupResponse()

    peer = serve(answer)
    start = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        lookup(peer.target, range(20), max_batch=1, timeout_s=0.5)
    assert time.monotonic() - start < 3
    assert 1 < len(peer.requests) < 20


def test_ready_returns_once_connected(serve):
    with Client(serve().target) as client:
        client.ready(timeout_s=10)
        assert client.lookup([1]).generation == 1


def test_ready_names_the_server_that_is_not_there():
    with (
        Client("127.0.0.1:1") as client,
        pytest.raises(Unavailable, match=r"no connection to 127\.0\.0\.1:1 within 0\.3"),
    ):
        client.ready(timeout_s=0.3)


def test_one_client_serves_many_threads(serve):
    peer = serve(match_multiples_of_three)
    answers: dict[int, list[str]] = {}
    with Client(peer.target) as client:

        def look_up(value):
            answers[value] = [match.entry_id for match in client.lookup([value]).matches]

        threads = [threading.Thread(target=look_up, args=(value,)) for value in range(0, 48, 3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == {value: [str(value)] for value in range(0, 48, 3)}


def test_closing_fails_what_waits_for_its_turn(serve, monkeypatch):
    monkeypatch.setattr("nearhash_client.client.MOST_CALLS", 1)
    asked, going_on = threading.Event(), threading.Event()

    def answer(_request, _context):
        asked.set()
        going_on.wait(20)
        return lookup_pb2.LookupResponse()

    peer = serve(answer)
    failures: list[str] = []
    client = Client(peer.target)

    def look_up() -> None:
        with pytest.raises(ServerError) as caught:
            client.lookup([1])
        failures.append(str(caught.value))

    threads = [threading.Thread(target=look_up) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert asked.wait(20)
    client.close()
    going_on.set()
    for thread in threads:
        thread.join()
    assert len(failures) == 3
    assert failures.count("CANCELLED: the client was closed") == 2


def test_a_thread_waits_for_others_no_longer_than_its_deadline(serve, monkeypatch):
    monkeypatch.setattr("nearhash_client.client.MOST_CALLS", 2)
    going_on = threading.Event()

    def answer(_request, _context):
        going_on.wait(20)
        return lookup_pb2.LookupResponse()

    peer = serve(answer)
    with Client(peer.target) as client:
        threads = [threading.Thread(target=client.lookup, args=([1],)) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.1)
        with pytest.raises(DeadlineExceeded, match=r"timeout_s = 0\.2"):
            client.lookup([1], timeout_s=0.2)
        assert len(peer.requests) == 2
        going_on.set()
        for thread in threads:
            thread.join()
    assert len(peer.requests) == 3
