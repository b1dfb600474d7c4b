import base64
import json
import socket
import subprocess
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2

from nearhash_client import Client
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import DataDirectory
from nearhash_service.server import Server

from .certificates import Authority
from .guarded import guarding, token_of
from .running import BIN, connected, eventually
from .sample import NARROW

SERVICES = ["nearhash.v1.LookupService", "nearhash.v1.BankService"]
REFLECTIONS = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]
BUF_OPTIONS = ["--protocol", "grpc", "--http2-prior-knowledge", "--data"]
PHASH64 = HASH_TYPES["phash64"]


def reflect(channel: grpc.Channel, service: str, **request: str) -> reflection_pb2.ServerReflectionResponse:
    call = reflection_method(channel, service)
    (answer,) = call(iter([reflection_pb2.ServerReflectionRequest(**request)]), timeout=20)
    return answer


def reflection_method(channel: grpc.Channel, service: str) -> grpc.StreamStreamMultiCallable:
    return channel.stream_stream(
        f"/{service}/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )


@pytest.mark.parametrize("service", ["", *SERVICES])
def test_health_is_told_for_the_server_and_each_service(stubs, service):
    assert stubs.health(service) == "SERVING"


def test_health_of_an_unknown_service_is_not_found(stubs):
    with pytest.raises(grpc.RpcError) as raised:
        stubs.health("nobody")
    assert raised.value.code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("reflection", REFLECTIONS)
def test_reflection_lists_the_services_under_both_its_names(stubs, reflection):
    answer = reflect(stubs.channel, reflection, list_services="")
    listed = {service.name for service in answer.list_services_response.service}
    assert listed == {*SERVICES, *REFLECTIONS, "grpc.health.v1.Health"}


@pytest.mark.parametrize("reflection", REFLECTIONS)
@pytest.mark.parametrize("symbol", [*SERVICES, "nearhash.v1.LookupRequest", "grpc.health.v1.Health"])
def test_reflection_describes_services_and_messages(stubs, reflection, symbol):
    answer = reflect(stubs.channel, reflection, file_containing_symbol=symbol)
    assert answer.file_descriptor_response.file_descriptor_proto


@pytest.mark.parametrize("reflection", REFLECTIONS)
def test_reflection_is_for_known_callers(tmp_path, data, reflection):
    with guarding(tmp_path, data) as (_, address, _), connected(address) as stubs:
        call = reflection_method(stubs.channel, reflection)
        question = [reflection_pb2.ServerReflectionRequest(list_services="")]
        refused = call(iter(question), timeout=20)
        assert first_answer(refused) == grpc.StatusCode.UNAUTHENTICATED
        metadata = (("authorization", f"Bearer {token_of('reader')}"),)
        assert first_answer(call(iter(question), metadata=metadata, timeout=20)) == grpc.StatusCode.OK


def test_idle_reflection_streams_do_not_keep_others_from_lookups(stubs, server, sample):
    stop = threading.Event()

    def one_request_and_no_end():
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        stop.wait(30)

    with connected(server.address) as other:
        streams = [reflection_method(other.channel, REFLECTIONS[i % 2])(one_request_and_no_end()) for i in range(20)]
        try:
            outcomes = Counter(map(first_answer, streams))
            assert set(outcomes) == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
            assert outcomes[grpc.StatusCode.OK] <= 4
            assert stubs.lookup(hash_type=1, hashes=sample.hashes(PHASH64)[0]).matches
        finally:
            stop.set()
            for stream in streams:
                stream.cancel()
    eventually(lambda: answers_reflection(stubs))


def first_answer(stream: grpc.Call) -> grpc.StatusCode:
    try:
        assert next(stream).list_services_response.service
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def answers_reflection(stubs) -> bool:
    try:
        return bool(reflect(stubs.channel, REFLECTIONS[0], list_services="").list_services_response.service)
    except grpc.RpcError:
        return False


def buf_curl(address: str, method: str, message: dict) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "buf", "curl", *BUF_OPTIONS, json.dumps(message), f"http://{address}/{method}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.skipif(not (BIN / "buf").exists(), reason="buf is not installed")
def test_a_client_in_another_language_finds_its_way_by_reflection(server, sample):
    value = sample.hashes(PHASH64, NARROW)[2]
    message = {"hash_type": "HASH_TYPE_PHASH64", "hashes": base64.b64encode(value).decode(), "banks": [NARROW]}
    done = buf_curl(server.address, "nearhash.v1.LookupService/Lookup", message)
    assert done.returncode == 0, done.stderr
    expected = [entry_id for _, _, _, entry_id, _, _ in sample.expected(PHASH64, [value], banks=[NARROW])]
    assert [match["entryId"] for match in json.loads(done.stdout)["matches"]] == expected
    refused = buf_curl(server.address, "nearhash.v1.LookupService/Lookup", {**message, "radius": 65})
    assert refused.returncode != 0
    assert "invalid_argument" in refused.stderr
    assert "google.rpc.BadRequest" in refused.stderr


def test_a_unix_socket_is_served(tmp_path, data, sample):
    target = f"unix:{tmp_path}/socket"
    with Server(DataDirectory(data), target), Client(target) as client:
        assert client.lookup([sample.hashes(PHASH64)[0]], timeout_s=20).matches


def test_garbage_on_the_port_ends_that_connection_alone(server, stubs):
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 1000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(garbage)
            assert len(connection.recv(1 << 16)) < 1 << 16
    assert stubs.lookup(hash_type=1, hashes=bytes(8)).generation == 1


def test_an_unknown_method_is_unimplemented(stubs):
    call = stubs.channel.unary_unary("/nearhash.v1.LookupService/Nothing")
    with pytest.raises(grpc.RpcError) as raised:
        call(b"", timeout=20)
    assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED


def look_up(address: str, value: bytes, credentials: grpc.ChannelCredentials | None) -> str:
    """Return the bank found, or the name of the status."""
    with connected(address, credentials) as stubs:
        try:
            return stubs.lookup(hash_type=1, hashes=value, banks=[NARROW]).matches[0].bank
        except grpc.RpcError as error:
            return error.code().name


@pytest.mark.parametrize("mutual", [False, True], ids=["TLS", "mTLS"])
def test_tls_lets_in_whom_it_should(tmp_path, serve, data, sample, mutual):
    ours, strangers = Authority(tmp_path, "ours"), Authority(tmp_path, "strangers")
    certificate, key = ours.issue("server")
    known_files, stranger_files = ours.issue("client"), strangers.issue("stranger")
    options = ["--tls-certificate", certificate, "--tls-key", key]
    running = serve(data, *options, *(["--tls-client-ca", ours.certificate] if mutual else []))
    value = sample.hashes(PHASH64, NARROW)[0]

    def tls(authority: Authority, files: tuple[Path, Path] | None = None) -> grpc.ChannelCredentials:
        certificate, key = (path.read_bytes() for path in files) if files else (None, None)
        return grpc.ssl_channel_credentials(authority.certificate.read_bytes(), key, certificate)

    callers = {
        "known": tls(ours, known_files),
        "without certificate": tls(ours),
        "stranger": tls(ours, stranger_files),
        "distrusting": tls(strangers, known_files),
        "plain text": None,
    }
    with ThreadPoolExecutor(len(callers)) as pool:
        found = pool.map(lambda credentials: look_up(running.address, value, credentials), callers.values())
        outcomes = dict(zip(callers, found, strict=True))
    uncertified = "UNAVAILABLE" if mutual else NARROW
    assert outcomes == {
        "known": NARROW,
        "without certificate": uncertified,
        "stranger": uncertified,
        "distrusting": "UNAVAILABLE",
        "plain text": "UNAVAILABLE",
    }
