"""`nearhash-hma`: whom it listens to, and what it prints."""

from __future__ import annotations

import socket
import subprocess

import pytest
import requests

from nearhash_hma.__main__ import _listening

from ..service.certificates import Authority
from ..service.guarded import guarding, token_of
from ..service.running import BIN
from ..service.sample import make_sample, write_sample
from .conftest import jpeg, running_shim

TIMEOUT_S = 20


def refused(*arguments: str) -> str:
    done = subprocess.run(
        [str(BIN / "nearhash-hma"), *arguments], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode in {1, 2}
    assert "Traceback" not in done.stderr
    return " ".join(done.stderr.replace("│", " ").split())


def let_in(url: str, authority: str) -> bool:
    try:
        requests.get(url, verify=authority, timeout=TIMEOUT_S)
    except requests.ConnectionError:
        return False
    return True


def test_it_speaks_https_and_lets_in_only_clients_with_a_certificate(server, tmp_path):
    authority = Authority(tmp_path, "authority")
    (certificate, key), client = authority.issue("server"), authority.issue("client")
    options = ("--tls-certificate", certificate, "--tls-key", key, "--tls-client-ca", authority.certificate)
    with running_shim(server.address, *options, scheme="https") as shim:
        url, ca = f"{shim.url}/status", str(authority.certificate)
        answer = requests.get(url, verify=ca, cert=tuple(map(str, client)), timeout=TIMEOUT_S)
        assert answer.text == "I-AM-ALIVE"
        assert not let_in(url, ca)


def test_it_calls_a_server_that_knows_its_callers_with_its_token(tmp_path):
    write_sample(tmp_path / "data", make_sample(per_type=10))
    token_file = tmp_path / "token"
    token_file.write_text(token_of("everything"))
    with guarding(tmp_path, tmp_path / "data") as (_, target, _):
        with running_shim(target, "--token-file", token_file) as shim:
            assert requests.get(f"{shim.url}/status", timeout=TIMEOUT_S).text == "I-AM-ALIVE"
        with running_shim(target) as shim:
            answer = requests.get(f"{shim.url}/status", timeout=TIMEOUT_S)
            assert (answer.status_code, answer.json().keys()) == (502, {"message"})


def test_answers_are_not_held_back_until_what_was_sent_before_is_acknowledged():
    with _listening("127.0.0.1:0") as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_no_hash_is_printed_and_nothing_is_left_behind(server, images):
    signal = "0123456789abcdef" * 4
    with running_shim(server.address) as shim:
        for value in (signal, signal[1:]):
            parameters = {"signal": value, "signal_type": "pdq"}
            requests.get(f"{shim.url}/m/raw_lookup", params=parameters, timeout=TIMEOUT_S)
        photo = ("a.jpg", jpeg(images["chelsea"].resize((200, 150))), "image/jpeg")
        assert requests.post(f"{shim.url}/m/lookup", files={"photo": photo}, timeout=TIMEOUT_S).ok
        # Processes that hash, and would be told to have been left.
        assert (shim.stop(), shim.process.returncode) == ("", 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--listen", "0.0.0.0:0"], "open to other machines"),
        (["--listen", "nowhere"], "--allow-plaintext"),
        (["--listen", "localhost:http"], "write HOST:PORT"),
        (["--tls-key", "key.pem"], "together"),
        (["--tls-client-ca", "ca.pem"], "needs --tls-certificate"),
        (["--target-ca", "/nowhere/ca.pem"], "error: [Errno 2]"),
    ],
)
def test_it_refuses_to_start_otherwise(arguments, message):
    assert message in refused(*arguments)


def test_a_token_file_that_is_missing_is_said():
    assert "/nowhere/token" in refused("--token-file", "/nowhere/token", "--listen", "127.0.0.1:0")
