"""One client, several servers."""

import time

import grpc
import pytest

from nearhash.v1 import lookup_pb2
from nearhash_client import TLS, Client, InvalidRequest

from ..service.certificates import Authority


def numbered(generation: int):
    return lambda _request, _context: lookup_pb2.LookupResponse(generation=generation)


@pytest.fixture
def pair(serve):
    return serve(numbered(1)), serve(numbered(2))


@pytest.fixture
def client(pair):
    with Client([peer.target for peer in pair]) as opened:
        until_answered_by(opened, {1, 2})
        yield opened


def answered_by(client: Client, calls: int = 20) -> list[int]:
    return [client.lookup([1], timeout_s=10).generation for _ in range(calls)]


def until_answered_by(client: Client, generations: set[int]) -> None:
    """Wait until exactly these servers answer."""
    deadline_s = time.monotonic() + 20
    while set(answered_by(client)) != generations:
        assert time.monotonic() < deadline_s


def test_calls_go_round_robin(client):
    answers = answered_by(client)
    assert (answers.count(1), answers.count(2)) == (10, 10)


def test_a_server_that_does_not_serve_gets_no_calls_until_it_does(pair, client):
    pair[1].say(serving=False)
    until_answered_by(client, {1})
    asked = len(pair[1].requests)
    answered_by(client, 50)
    assert len(pair[1].requests) == asked
    pair[1].say(serving=True)
    until_answered_by(client, {1, 2})


def test_a_server_that_ends_fails_no_call(serve, pair, client):
    pair[1].server.stop(0)
    assert set(answered_by(client, 50)) == {1}
    serve(numbered(3), port=pair[1].port)
    until_answered_by(client, {1, 3})


def test_a_single_server_is_asked_even_if_it_says_that_it_does_not_serve(serve, lookup):
    # It knows better than its health why: nothing is published, or it drains and answers still.
    peer = serve(numbered(1))
    peer.say(serving=False)
    assert lookup(peer.target, [1], timeout_s=10).generation == 1


def test_several_servers_may_speak_tls(serve, tmp_path):
    authority = Authority(tmp_path, "authority")
    certificate, key = authority.issue("server")
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
    peers = [serve(numbered(number), credentials=credentials) for number in (1, 2)]
    tls = TLS.from_files(root_certificates=authority.certificate, server_name="localhost")
    with Client([peer.target for peer in peers], tls=tls) as client:
        until_answered_by(client, {1, 2})


def test_several_addresses_without_the_name_in_their_certificates_are_refused(lookup):
    # gRPC would never connect, and not say why.
    with pytest.raises(InvalidRequest, match=r"^tls\.server_name: found None; several addresses need the one name"):
        lookup(["127.0.0.1:1", "127.0.0.1:2"], [1], tls=TLS())
