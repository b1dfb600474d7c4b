import os

import grpc
import pytest

from nearhash.v1 import lookup_pb2
from nearhash_client import TLS, InvalidRequest, Unauthenticated
from nearhash_client.tokens import token_source

from ..service.certificates import Authority


def needs(token: str):
    """Answer only calls that carry the token."""

    def answer(_request, context):
        sent = [value for key, value in context.invocation_metadata() if key == "authorization"]
        if sent != [f"Bearer {token}"]:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token that is known")
        return lookup_pb2.LookupResponse(generation=5)

    return answer


@pytest.mark.parametrize("form", ["str", "path", "function"])
def test_each_form_of_a_token_is_sent(serve, lookup, tmp_path, form):
    peer = serve(needs("abc.123"))
    file = tmp_path / "token"
    file.write_text("abc.123\n")
    token = {"str": "abc.123", "path": file, "function": lambda: "abc.123"}[form]
    assert lookup(peer.target, [1], token=token).generation == 5


@pytest.mark.parametrize("token", [None, "other"])
def test_a_call_without_the_right_token_is_unauthenticated(serve, lookup, token):
    with pytest.raises(Unauthenticated, match=r"^no token that is known$"):
        lookup(serve(needs("abc")).target, [1], token=token)


def test_a_token_goes_over_tls(serve, lookup, tmp_path):
    authority = Authority(tmp_path, "authority")
    certificate, key = authority.issue("server")
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
    peer = serve(needs("abc"), credentials=credentials)
    tls = TLS.from_files(root_certificates=authority.certificate)
    assert lookup(peer.target, [1], tls=tls, token="abc").generation == 5


@pytest.mark.parametrize("target", ["nearhash.example:50051", ["127.0.0.1:1", "10.0.0.1:1"]])
def test_no_token_leaves_the_machine_in_plain_text(lookup, target):
    with pytest.raises(InvalidRequest, match=r"^token: found one without TLS; give tls=TLS\(\.\.\.\)"):
        lookup(target, [1], token="abc")


@pytest.mark.parametrize("wrong", ["", "two words", "line\nbreak: x", "schlüssel", "=abc"])
def test_what_is_no_token_is_refused_and_not_repeated(lookup, tmp_path, wrong):
    file = tmp_path / "token"
    file.write_text(wrong)
    for token in (wrong, file, lambda: wrong):
        with pytest.raises(InvalidRequest, match="found no bearer token") as caught:
            lookup("127.0.0.1:1", [1], token=token)
        assert not wrong or wrong not in str(caught.value)


def test_a_missing_file_is_told_at_once(tmp_path):
    with pytest.raises(FileNotFoundError):
        token_source(tmp_path / "none")


def test_a_file_is_read_again_when_it_changes(tmp_path):
    file = tmp_path / "token"
    file.write_text("first")
    current = token_source(file)
    assert current() == "first"
    replacement = tmp_path / "new"
    replacement.write_text("later")
    os.replace(replacement, file)
    assert current() == "later"


def test_a_file_that_is_gone_or_wrong_leaves_the_last_good_token(tmp_path):
    file = tmp_path / "token"
    file.write_text("first")
    current = token_source(file)
    file.write_text("")
    assert current() == "first"
    file.unlink()
    assert current() == "first"
    file.write_text("second")
    assert current() == "second"
