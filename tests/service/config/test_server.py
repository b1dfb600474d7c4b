import pytest

from nearhash_index.errors import InvalidInput
from nearhash_service.config import parse_address


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
