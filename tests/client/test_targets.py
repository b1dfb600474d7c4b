import pytest

from nearhash_client import InvalidRequest
from nearhash_client.targets import is_on_this_machine, target_name


@pytest.mark.parametrize(
    ("servers", "name"),
    [
        ("nearhash.example:50051", "nearhash.example:50051"),
        ("dns:///nearhash.example:50051", "dns:///nearhash.example:50051"),
        (["nearhash.example:50051"], "nearhash.example:50051"),
        (["10.0.0.1:50051", "10.0.0.2:50052"], "ipv4:10.0.0.1:50051,10.0.0.2:50052"),
        (("[::1]:50051", "[fe80::2]:50052"), "ipv6:[::1]:50051,[fe80::2]:50052"),
    ],
)
def test_servers_become_the_name_that_grpc_takes(servers, name):
    assert target_name(servers) == name


@pytest.mark.parametrize(
    ("servers", "message"),
    [
        ("", r"^target: found none"),
        ([], r"^target: found none"),
        (["10.0.0.1:50051", ""], r"^target: found none"),
        (["10.0.0.1:1", "b.example:1"], r"^target\[1\]: found 'b\.example:1'; .* or as one DNS name$"),
        (["10.0.0.1", "10.0.0.2:1"], r"^target\[0\]: found '10\.0\.0\.1'; several servers are given as IP address and"),
        (["10.0.0.1:1", "[::1]:1"], r"^target: found IPv4 and IPv6 addresses together"),
    ],
)
def test_servers_that_no_name_reaches_are_refused(servers, message):
    with pytest.raises(InvalidRequest, match=message):
        target_name(servers)


@pytest.mark.parametrize(
    "target",
    [
        "127.0.0.1:50051",
        "127.9.9.9:1",
        "localhost:50051",
        "LocalHost",
        "[::1]:50051",
        "dns:localhost:1",
        "dns:///127.0.0.1:1",
        "unix:/run/socket",
        "unix-abstract:name",
        "ipv4:127.0.0.1:1,127.0.0.2:2",
        "ipv6:[::1]:1",
    ],
)
def test_loopback_and_unix_sockets_are_on_this_machine(target):
    assert is_on_this_machine(target)


@pytest.mark.parametrize(
    "target",
    [
        "10.0.0.1:50051",
        "0.0.0.0:1",
        "localhost.example:1",
        "127.0.0.1.example:1",
        "dns://9.9.9.9/localhost:1",
        "ipv4:127.0.0.1:1,10.0.0.1:2",
        "unix",
        "unix.example",
        "xds:///localhost",
        "",
    ],
)
def test_nothing_else_is(target):
    assert not is_on_this_machine(target)
