from hashlib import sha256

import pytest
from msgspec.structs import replace

from nearhash_index.errors import InvalidInput
from nearhash_service.config import Caller, Config, ServerSection, TLSSection

from ..certificates import Authority
from ..running import refused


@pytest.mark.parametrize("listen", ["127.0.0.1:1", "127.3.2.1:0", "[::1]:2", "localhost:3"])
def test_loopback_is_served_in_plain_text(tmp_path, listen):
    assert Config(server=ServerSection(data=tmp_path, listen=listen)).server.listen == listen


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "192.168.1.1", "8.8.8.8", "example.com", "localhost.example.com"])  # noqa: S104
def test_other_addresses_need_tls_or_leave_to_do_without(tmp_path, host):
    listen = f"{host}:50051"
    with pytest.raises(InvalidInput, match=r"server\.listen.*can be reached from other machines.*--allow-plaintext"):
        Config(server=ServerSection(data=tmp_path, listen=listen))
    server = ServerSection(data=tmp_path, listen=listen, allow_plaintext=True, allow_anyone=True)
    assert Config(server=server).tls.certificate is None
    certificate, key = Authority(tmp_path, "ours").issue("server")
    tls = TLSSection(certificate=certificate, key=key)
    assert Config(server=ServerSection(data=tmp_path, listen=listen, allow_anyone=True), tls=tls).tls == tls


def test_other_machines_need_to_be_known_or_leave_to_be_anyone(tmp_path):
    authority = Authority(tmp_path, "ours")
    certificate, key = authority.issue("server")
    tls = TLSSection(certificate=certificate, key=key)
    mutual = TLSSection(certificate=certificate, key=key, client_ca=authority.certificate)
    outside = ServerSection(data=tmp_path, listen="0.0.0.0:1")
    with pytest.raises(InvalidInput, match=r"server\.listen.*could do everything.*\[\[callers\]\].*--allow-anyone"):
        Config(server=outside, tls=tls)
    Config(server=outside, tls=mutual)
    Config(server=outside, tls=tls, callers=(with_token(),))
    Config(server=replace(outside, allow_anyone=True), tls=tls)


def test_tokens_are_refused_where_others_could_read_them(tmp_path):
    loopback = ServerSection(data=tmp_path)
    outside = ServerSection(data=tmp_path, listen="0.0.0.0:1", allow_plaintext=True)
    Config(server=loopback, callers=(with_token(),))
    with pytest.raises(InvalidInput, match=r"callers\[0\]\.token_sha256: .* plain text; they need TLS"):
        Config(server=outside, callers=(with_token(),))


def test_callers_by_certificate_need_an_authority_that_signs_it(tmp_path):
    callers = (with_token(), Caller(name="b", roles=("admin",), certificates=("b",)))
    with pytest.raises(InvalidInput, match=r"callers\[1\]\.certificates: .*tls\.client_ca"):
        Config(server=ServerSection(data=tmp_path), callers=callers)


def with_token(token: str = "token", name: str = "a") -> Caller:  # noqa: S107
    return Caller(name=name, roles=("lookup",), token_sha256=(sha256(token.encode()).hexdigest(),))


@pytest.mark.parametrize(("host", "listening"), [("127.0.0.1", "127.0.0.1:7"), ("[::1]", "[::1]:7")])
def test_the_port_that_was_free_takes_the_place_of_port_0(tmp_path, host, listening):
    config = Config(server=ServerSection(data=tmp_path, listen=f"{host}:0", workers=3)).listening_on(7)
    assert (config.server.listen, config.server.port, config.server.workers) == (listening, 7, 3)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--listen", "0.0.0.0:0"], "--listen: 0.0.0.0 can be reached from other machines"),
        (["--listen", "nowhere"], "--listen: 'nowhere' is no address"),
        (["--listen", "127.0.0.1:0", "--workers", "0"], "--workers: expected `int` >= 1; found '0'"),
        (["--listen", "127.0.0.1:0", "--tls-key", "x"], "TLS needs both"),
        (["--listen", "127.0.0.1:0", "--tls-client-ca", "x"], "TLS needs both"),
        (["--listen", "127.0.0.1:0", "--tls-certificate", "x", "--tls-key", "y"], "no such file"),
        (["--listen", "0.0.0.0:0", "--allow-plaintext"], "--listen: 0.0.0.0 can be reached from other machines"),
        (["--listen", "256.1.1.1:0", "--allow-plaintext", "--allow-anyone"], "cannot listen on 256.1.1.1:0"),
        (["--listen", "192.0.2.1:0", "--allow-plaintext", "--allow-anyone"], "cannot listen on 192.0.2.1:0"),
    ],
)
def test_serve_refuses_them_in_one_line(tmp_path, arguments, told):
    error = refused("--data", tmp_path / "data", *arguments)
    assert told in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
