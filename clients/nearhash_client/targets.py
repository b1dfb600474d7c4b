"""Names of servers as gRPC takes them, and whether they lie on this machine."""

import ipaddress
from collections.abc import Sequence

from .errors import invalid


def target_name(servers: str | Sequence[str]) -> str:
    """Return the one name by which gRPC reaches all of `servers`.

    Parameters
    ----------
    servers
        A name as gRPC writes it, returned as it is: ``host:port``, ``dns:///host:port``, ``unix:/path``. Or several
        servers, each an IP address with its port: ``["10.0.0.1:50051", "10.0.0.2:50051"]``, ``["[::1]:50051"]``.

    Raises
    ------
    InvalidRequest
        If there is none, or several of which one is no IP address with a port, or which are not of one IP version.
    """
    names = [servers] if isinstance(servers, str) else list(servers)
    if not names or not all(names):
        raise invalid("target", "found none; name a server as host:port")
    if len(names) == 1:
        return names[0]
    versions = {_address(name, f"target[{position}]").version for position, name in enumerate(names)}
    if len(versions) > 1:
        raise invalid("target", "found IPv4 and IPv6 addresses together; pass addresses of one kind, or one DNS name")
    return f"ipv{versions.pop()}:{','.join(names)}"


def may_be_several(target: str) -> bool:
    """Tell whether a target, in gRPC's form, asks for several servers: addresses, or all that a DNS name has."""
    return target.startswith(("dns:", "ipv4:", "ipv6:"))


def is_on_this_machine(target: str) -> bool:
    """Tell whether everything sent to a target, in gRPC's form, stays on this machine: loopback and Unix sockets."""
    scheme, _, rest = target.partition(":")
    if rest and scheme in {"unix", "unix-abstract"}:
        return True
    if rest and scheme in {"ipv4", "ipv6"}:
        return all(_is_loopback(name) for name in rest.split(","))
    return _is_loopback(target.removeprefix("dns:").removeprefix("///"))


def _is_loopback(name: str) -> bool:
    host = _host(name)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _host(name: str) -> str:
    """Return the host of ``host``, ``host:port``, ``[v6]`` or ``[v6]:port``."""
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0]


def _address(name: str, field: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        address = ipaddress.ip_address(_host(name))
    except ValueError:
        address = None
    if address is None or not name.rpartition(":")[2].isdecimal():
        raise invalid(
            field, f"found {name!r}; several servers are given as IP address and port each, or as one DNS name"
        )
    return address
