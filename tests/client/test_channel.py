import asyncio
import datetime as dt
import json
import threading
import time
from concurrent import futures
from importlib.resources import files

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nearhash.v1 import banks_pb2, banks_pb2_grpc, lookup_pb2
from nearhash_client import TLS, AsyncClient, Client, DeadlineExceeded, InvalidRequest, Unavailable
from nearhash_client.channel import open_channel


class FailsFirst:
    """UNAVAILABLE, or another status, for the first calls; then an answer."""

    def __init__(self, failures: int, status: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> None:
        self.failures = failures
        self.status = status

    def __call__(self, _request, context):
        if self.failures:
            self.failures -= 1
            context.abort(self.status, "restarting")
        return lookup_pb2.LookupResponse(generation=9)


@pytest.mark.parametrize("status", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED])
def test_a_lookup_is_retried_while_the_server_is_unavailable_or_ends(serve, lookup, status):
    peer = serve(FailsFirst(2, status))
    assert lookup(peer.target, [1]).generation == 9
    assert len(peer.requests) == 3


def test_retries_end_and_the_last_answer_is_raised(serve):
    peer = serve(FailsFirst(100))
    with Client(peer.target) as client, pytest.raises(Unavailable, match=r"^restarting$"):
        client.lookup([1])
    assert len(peer.requests) == 5


def test_a_server_that_stays_unavailable_is_not_flooded_with_retries(serve):
    peer = serve(FailsFirst(10_000))

    async def asked_by(client: AsyncClient, calls: int) -> int:
        before = len(peer.requests)
        outcomes = await asyncio.gather(*(client.lookup([1]) for _ in range(calls)), return_exceptions=True)
        assert {type(each) for each in outcomes} == {Unavailable}
        return len(peer.requests) - before

    async def run() -> None:
        # By another name than the other tests' servers have: gRPC remembers failures by name, for the whole process.
        async with AsyncClient(f"localhost:{peer.port}") as client:
            # More failures than a client may see and still try again.
            assert await asked_by(client, 600) < 2 * 600
            assert await asked_by(client, 20) == 20
            peer.answer = FailsFirst(0)
            assert (await client.lookup([1])).generation == 9

    asyncio.run(run())


def test_retries_stay_within_the_deadline(serve, lookup):
    peer = serve(FailsFirst(100))
    start = time.monotonic()
    with pytest.raises((DeadlineExceeded, Unavailable)):
        lookup(peer.target, [1], timeout_s=0.3)
    assert time.monotonic() - start < 2
    assert len(peer.requests) < 5


def test_another_error_is_not_retried(serve, lookup):
    def answer(_request, context):
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "disabled")

    peer = serve(answer)
    with pytest.raises(Exception, match=r"^disabled$"):
        lookup(peer.target, [1])
    assert len(peer.requests) == 1


def test_a_client_rides_out_a_restart_of_its_server(serve):
    peer = serve()
    with Client(peer.target) as client:
        assert client.lookup([1]).generation == 1
        peer.server.stop(0).wait()
        restart = threading.Timer(0.5, serve, (FailsFirst(0),), {"port": peer.port})
        restart.start()
        assert client.lookup([1], timeout_s=20).generation == 9
        restart.join()


class UnavailableBanks(banks_pb2_grpc.BankServiceServicer):
    def __init__(self) -> None:
        self.calls: list[str] = []

    def Publish(self, _request, context):  # noqa: N802
        self.calls.append("Publish")
        context.abort(grpc.StatusCode.UNAVAILABLE, "restarting")

    def ListBanks(self, _request, context):  # noqa: N802
        self.calls.append("ListBanks")
        context.abort(grpc.StatusCode.UNAVAILABLE, "restarting")


def test_only_calls_that_may_run_twice_are_retried():
    banks = UnavailableBanks()
    banks_server = grpc.server(futures.ThreadPoolExecutor(1))
    banks_pb2_grpc.add_BankServiceServicer_to_server(banks, banks_server)
    port = banks_server.add_insecure_port("127.0.0.1:0")
    banks_server.start()
    with open_channel(f"127.0.0.1:{port}", tls=None) as channel:
        stub = banks_pb2_grpc.BankServiceStub(channel)
        with pytest.raises(grpc.RpcError):
            stub.Publish(banks_pb2.PublishRequest())
        with pytest.raises(grpc.RpcError):
            stub.ListBanks(banks_pb2.ListBanksRequest())
    banks_server.stop(0).wait()
    assert banks.calls == ["Publish"] + 5 * ["ListBanks"]


def test_the_service_config_retries_lookups_reads_and_changes_that_hold_their_state():
    config = json.loads(files("nearhash.v1").joinpath("nearhash_grpc_service_config.json").read_text())
    (named,) = (each["name"] for each in config["methodConfig"])
    every_bank_method = set(banks_pb2.DESCRIPTOR.services_by_name["BankService"].methods_by_name)
    retried = {each["method"] for each in named if each["service"] == "nearhash.v1.BankService"}
    assert every_bank_method - retried == {"CreateBank", "UpdateBank", "Publish", "Rollback", "Release"}
    assert retried < every_bank_method
    assert {"service": "nearhash.v1.LookupService"} in named


def test_answers_larger_than_grpc_allows_by_default_arrive(serve, lookup):
    def answer(_request, _context):
        match = lookup_pb2.Match(entry_id="e" * 250, labels=["label" * 50])
        return lookup_pb2.LookupResponse(matches=[match] * 20_000)

    assert len(lookup(serve(answer).target, [1]).matches) == 20_000


class Authority:
    """A certificate authority of our own."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self.root = self.sign(self.name, self.key, x509.BasicConstraints(ca=True, path_length=0))

    def sign(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, *extensions: x509.ExtensionType) -> bytes:
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateBuilder(
            issuer_name=self.name,
            subject_name=name,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - dt.timedelta(hours=1),
            not_valid_after=now + dt.timedelta(hours=1),
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def issue(self, host: str) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.sign(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]),
            key,
            x509.SubjectAlternativeName([x509.DNSName(host)]),
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return pem, certificate


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def tls_peer(serve, authority):
    return serve(credentials=grpc.ssl_server_credentials([authority.issue("nearhash.test")]))


@pytest.fixture
def mtls_peer(serve, authority):
    pair = authority.issue("nearhash.test")
    return serve(credentials=grpc.ssl_server_credentials([pair], authority.root, require_client_auth=True))


def test_a_server_of_a_known_authority_is_trusted(tls_peer, lookup, authority):
    tls = TLS(root_certificates=authority.root, server_name="nearhash.test")
    assert lookup(tls_peer.target, [1], tls=tls).generation == 1


@pytest.mark.parametrize("server_name", ["elsewhere.test", None])
def test_a_server_of_another_name_is_not_trusted(tls_peer, authority, server_name):
    tls = TLS(root_certificates=authority.root, server_name=server_name)
    with Client(tls_peer.target, tls=tls) as client, pytest.raises(Unavailable):
        client.ready(timeout_s=0.5)
    assert tls_peer.requests == []


def test_a_server_of_an_unknown_authority_is_not_trusted(tls_peer):
    tls = TLS(root_certificates=Authority().root, server_name="nearhash.test")
    with Client(tls_peer.target, tls=tls) as client, pytest.raises(Unavailable):
        client.ready(timeout_s=0.5)
    assert tls_peer.requests == []


def test_a_client_proves_who_it_is(mtls_peer, lookup, authority, tmp_path):
    key, chain = authority.issue("backend.test")
    for name, pem in {"ca.pem": authority.root, "key.pem": key, "chain.pem": chain}.items():
        (tmp_path / name).write_bytes(pem)
    tls = TLS.from_files(
        root_certificates=tmp_path / "ca.pem",
        private_key=tmp_path / "key.pem",
        certificate_chain=tmp_path / "chain.pem",
        server_name="nearhash.test",
    )
    assert lookup(mtls_peer.target, [1], tls=tls).generation == 1


def test_a_client_that_does_not_is_turned_away(mtls_peer, authority):
    tls = TLS(root_certificates=authority.root, server_name="nearhash.test")
    with Client(mtls_peer.target, tls=tls) as client, pytest.raises((Unavailable, DeadlineExceeded)):
        client.lookup([1], timeout_s=0.5)
    assert mtls_peer.requests == []


@pytest.mark.parametrize(
    ("given", "missing"), [("private_key", "certificate_chain"), ("certificate_chain", "private_key")]
)
def test_a_key_without_its_chain_is_refused(given, missing):
    with pytest.raises(InvalidRequest, match=rf"^tls\.{missing}: found None; .* go together$"):
        TLS(**{given: b"pem"})


def test_the_private_key_stays_out_of_the_representation():
    assert "secret" not in repr(TLS(private_key=b"secret", certificate_chain=b"chain"))
