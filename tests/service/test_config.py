import subprocess

import pytest

from nearhash_index.errors import InvalidInput
from nearhash_service.config import ServerConfig, TLSFiles, parse_address

from .certificates import Authority
from .running import command, environment


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_loopback_is_served_in_plain_text(tmp_path, host):
    assert ServerConfig(tmp_path, host=host).host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "8.8.8.8", "example.com", "localhost.example.com"])  # noqa: S104
def test_other_addresses_need_tls_or_leave_to_do_without(tmp_path, host):
    with pytest.raises(InvalidInput, match=r"--listen.*can be reached from other machines.*--allow-plaintext"):
        ServerConfig(tmp_path, host=host)
    assert ServerConfig(tmp_path, host=host, allow_plaintext=True).tls is None
    tls = TLSFiles(*Authority(tmp_path, "ours").issue("server"))
    assert ServerConfig(tmp_path, host=host, tls=tls).tls == tls


@pytest.mark.parametrize("workers", [0, -1, 257])
def test_a_senseless_number_of_workers_is_refused(tmp_path, workers):
    with pytest.raises(InvalidInput, match=r"--workers.*use 1 to 256"):
        ServerConfig(tmp_path, workers=workers)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:50051", ("127.0.0.1", 50051)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:65535", ("::1", 65535)),
        ("example.com:1", ("example.com", 1)),
    ],
)
def test_addresses_are_parsed(text, address):
    assert parse_address(text, "--listen") == address


BAD_ADDRESSES = ["", ":", "50051", "127.0.0.1", "127.0.0.1:", ":50051", "a:b", "a:-1", "a:65536", "a:1.5", "a:99999999"]


@pytest.mark.parametrize("text", BAD_ADDRESSES)
def test_malformed_addresses_are_refused(text):
    with pytest.raises(InvalidInput, match=r"--listen.*is no address; write HOST:PORT"):
        parse_address(text, "--listen")


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_tls_files_must_exist(tmp_path, missing):
    authority = Authority(tmp_path, "ours")
    files = [*authority.issue("server"), authority.certificate]
    files[missing] = tmp_path / "nowhere.pem"
    with pytest.raises(InvalidInput, match=r"nowhere\.pem.*no such file"):
        TLSFiles(*files)


def test_tls_files_must_hold_a_certificate_and_its_key(tmp_path):
    authority = Authority(tmp_path, "ours")
    certificate, key = authority.issue("server")
    _, other_key = authority.issue("other")
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("garbage")
    for files in ((garbage, key), (certificate, garbage), (certificate, other_key), (key, certificate)):
        with pytest.raises(InvalidInput, match="no certificate with its private key"):
            TLSFiles(*files)
    with pytest.raises(InvalidInput, match=r"garbage\.pem.*no certificate"):
        TLSFiles(certificate, key, garbage)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--listen", "0.0.0.0:0"], "can be reached from other machines"),
        (["--listen", "nowhere"], "is no address"),
        (["--listen", "127.0.0.1:0", "--workers", "0"], "--workers: 0 is out of range"),
        (["--listen", "127.0.0.1:0", "--tls-key", "x"], "TLS needs both"),
        (["--listen", "127.0.0.1:0", "--tls-client-ca", "x"], "TLS needs both"),
        (["--listen", "127.0.0.1:0", "--tls-certificate", "x", "--tls-key", "y"], "no such file"),
        (["--listen", "256.1.1.1:0", "--allow-plaintext"], "cannot listen on 256.1.1.1:0"),
        (["--listen", "192.0.2.1:0", "--allow-plaintext"], "cannot listen on 192.0.2.1:0"),
    ],
)
def test_serve_refuses_them_in_one_line(tmp_path, arguments, told):
    done = subprocess.run(
        command("serve", "--data", tmp_path / "data", *arguments),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment(),
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
