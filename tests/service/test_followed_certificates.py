"""TLS in this process, over real sockets: renewed, wrong, expired and foreign certificates."""

import logging
import shutil
from contextlib import ExitStack, contextmanager
from datetime import timedelta

import grpc
import pytest

from nearhash_index.errors import InvalidInput
from nearhash_index.store import DataDirectory
from nearhash_service.access.followed_callers import FollowedCallers
from nearhash_service.access.followed_certificates import FollowedCertificates
from nearhash_service.config import Caller, TLSSection
from nearhash_service.server import Server

from .calls import audit, create
from .certificates import Authority
from .running import connected, eventually, free_port

LIST_BANKS = "/nearhash.v1.BankService/ListBanks"
OPERATORS = (Caller(name="by-alternative-name", roles=("admin",), certificates=("operator.example",)),)
COMMON = (Caller(name="by-common-name", roles=("admin",), certificates=("operator",)),)


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "ours")


@pytest.fixture
def serve(tmp_path, published, authority):
    """Serve with the certificate "server.pem"; return the address and what follows the files."""
    with ExitStack() as stack:

        def start(*, mutual=False, callers=()):
            certificate, key = authority.issue("server")
            client_ca = authority.certificate if mutual else None
            followed = FollowedCertificates(TLSSection(certificate=certificate, key=key, client_ca=client_ca))
            address = f"127.0.0.1:{free_port()}"
            data = DataDirectory(shutil.copytree(published, tmp_path / "data"))
            stack.enter_context(Server(data, address, certificates=followed, callers=FollowedCallers(callers)))
            return address, followed

        yield start


def trusting(authority, files=None) -> grpc.ChannelCredentials:
    certificate, key = (path.read_bytes() for path in files) if files else (None, None)
    return grpc.ssl_channel_credentials(authority.certificate.read_bytes(), key, certificate)


@contextmanager
def calls(address, credentials):
    with connected(address, credentials) as stubs:
        yield stubs


def outcome(address, credentials) -> str:
    with connected(address, credentials) as stubs:
        try:
            stubs.channel.unary_unary(LIST_BANKS)(b"", timeout=20)
        except grpc.RpcError as error:
            return error.code().name
    return "OK"


def test_a_renewed_certificate_is_shown_to_new_connections_and_old_ones_go_on(serve, authority, tmp_path):
    address, followed = serve()
    successor = Authority(tmp_path, "successor")
    with calls(address, trusting(authority)) as before:
        assert before.status().worker.generation == 1
        assert outcome(address, trusting(successor)) == "UNAVAILABLE"
        certificate, key = successor.issue("next")
        shutil.copy(key, tmp_path / "server.key")
        shutil.copy(certificate, tmp_path / "server.pem")
        assert outcome(address, trusting(successor)) == "OK"
        assert outcome(address, trusting(authority)) == "UNAVAILABLE"
        assert before.status().worker.generation == 1
    assert followed.error == ""


@pytest.mark.parametrize("broken", ["half replaced", "garbage", "gone"])
def test_while_the_files_are_wrong_the_last_good_certificate_serves_and_the_status_says_why(
    serve, authority, tmp_path, broken, caplog
):
    address, _ = serve()
    certificate, key = authority.issue("next")
    with calls(address, trusting(authority)) as stubs:
        assert stubs.status().worker.reload_error == ""
        if broken == "half replaced":
            shutil.copy(certificate, tmp_path / "server.pem")
        elif broken == "garbage":
            (tmp_path / "server.pem").write_text("garbage")
        else:
            (tmp_path / "server.pem").unlink()
        for _ in range(3):
            assert outcome(address, trusting(authority)) == "OK"
        error = stubs.status().worker.reload_error
        assert error.startswith("the certificates are still those of before: ")
        assert "server.pem" in error
        assert caplog.text.count("the certificates are still those of before") == 1
        caplog.set_level(logging.INFO)
        shutil.copy(key, tmp_path / "server.key")
        shutil.copy(certificate, tmp_path / "server.pem")
        assert outcome(address, trusting(authority)) == "OK"
        eventually(lambda: stubs.status().worker.reload_error == "")


def test_clients_need_a_certificate_that_is_valid_and_signed_by_the_authority(serve, authority, tmp_path):
    address, _ = serve(mutual=True)
    foreign = Authority(tmp_path, "foreign")
    outcomes = {
        "valid": outcome(address, trusting(authority, authority.issue("valid"))),
        "none": outcome(address, trusting(authority)),
        "expired": outcome(address, trusting(authority, authority.issue("expired", age=timedelta(days=3)))),
        "not yet valid": outcome(address, trusting(authority, authority.issue("early", age=timedelta(days=-3)))),
        "foreign": outcome(address, trusting(authority, foreign.issue("foreigner"))),
        "plain text": outcome(address, None),
    }
    assert outcomes == {"valid": "OK", **dict.fromkeys(list(outcomes)[1:], "UNAVAILABLE")}


def test_a_server_whose_certificate_has_expired_is_trusted_by_no_client(serve, authority, tmp_path):
    address, _ = serve()
    certificate, key = authority.issue("old", age=timedelta(days=3))
    shutil.copy(key, tmp_path / "server.key")
    shutil.copy(certificate, tmp_path / "server.pem")
    assert outcome(address, trusting(authority)) == "UNAVAILABLE"


@pytest.mark.parametrize("callers", [OPERATORS, COMMON], ids=["alternative name", "common name"])
def test_a_caller_is_known_by_a_name_in_its_certificate(serve, authority, callers):
    address, _ = serve(mutual=True, callers=callers)
    operator = authority.issue("operator", names=("operator.example",))
    stranger = authority.issue("stranger", names=("operator.example.evil", "xoperator.example"))
    assert outcome(address, trusting(authority, stranger)) == "UNAUTHENTICATED"
    with calls(address, trusting(authority, operator)) as stubs:
        create(stubs, "new")
        assert audit(stubs, 1)[0].author.actor == callers[0].name


def test_without_callers_the_audit_log_names_the_certificate(serve, authority):
    address, _ = serve(mutual=True)
    with calls(address, trusting(authority, authority.issue("alice", names=("alice.example",)))) as stubs:
        create(stubs, "new", author={"actor": "mallory"})
        assert audit(stubs, 1)[0].author.actor == "alice.example for mallory"


def test_an_authority_is_renewed_too(serve, authority, tmp_path):
    address, _ = serve(mutual=True)
    successor = Authority(tmp_path, "successor")
    client = successor.issue("client")
    assert outcome(address, trusting(authority, client)) == "UNAVAILABLE"
    both = authority.certificate.read_bytes() + successor.certificate.read_bytes()
    servers = grpc.ssl_channel_credentials(both, *(path.read_bytes() for path in reversed(client)))
    authority.certificate.write_bytes(both)
    assert outcome(address, servers) == "OK"


def test_files_that_are_wrong_to_begin_with_are_refused(authority):
    certificate, key = authority.issue("server")
    tls = TLSSection(certificate=certificate, key=key)
    certificate.write_text("garbage")
    with pytest.raises(InvalidInput, match=r"server\.pem"):
        FollowedCertificates(tls)
