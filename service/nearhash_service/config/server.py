"""The section [server]."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from nearhash_index.errors import InvalidInput
from nearhash_service.config.section import Section

__all__ = ["ServerSection", "is_loopback", "parse_address"]


class ServerSection(Section, frozen=True):
    """Where and how to serve."""

    data: Annotated[Path, Meta(description="The data directory; made if there is none.")]
    listen: Annotated[str, Meta(description="HOST:PORT. Port 0: one that is free.")] = "127.0.0.1:50051"
    health_listen: Annotated[
        str | None,
        Meta(
            description="HOST:PORT that tells nothing but health, in plain text, for probes that do not speak TLS, "
            "such as Kubernetes'. Unset: health is told at server.listen alone."
        ),
    ] = None
    workers: Annotated[
        int, Meta(ge=1, le=256, description="Processes that share the port and the memory map, 1 to 256.")
    ] = 1
    port_per_worker: Annotated[
        bool,
        Meta(
            description="Give each worker a port of its own, counting up from that of `listen`, in place of one for "
            "all: for clients and proxies that balance calls themselves."
        ),
    ] = False
    pin_workers: Annotated[
        bool,
        Meta(
            description="Give each worker a core of its own: more calls a second, where nothing else needs these "
            "cores. Its batches use that core alone."
        ),
    ] = False
    max_connections: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Connections to a worker; more are closed at once.")
    ] = 5000
    allow_plaintext: Annotated[
        bool,
        Meta(
            description="Serve other machines without TLS: whoever is on the way can read hashes. "
            "For networks that encrypt."
        ),
    ] = False
    allow_anyone: Annotated[
        bool,
        Meta(description="Serve other machines although there are no [[callers]]: whoever connects may do everything."),
    ] = False
    reload_interval_s: Annotated[
        float, Meta(ge=0.01, le=60, description="How often a worker looks for changes, 0.01 to 60.")
    ] = 0.1
    drain_delay_s: Annotated[
        float,
        Meta(
            ge=0,
            le=600,
            description="Between telling NOT_SERVING and refusing new calls, for load balancers to notice.",
        ),
    ] = 0.3
    drain_grace_s: Annotated[float, Meta(ge=0, le=600, description="Time for calls in flight to end.")] = 10.0

    def __post_init__(self) -> None:
        parse_address(self.listen, "server.listen")
        if self.health_listen is not None and parse_address(self.health_listen, "server.health_listen")[1] == 0:
            raise InvalidInput("server.health_listen", "port 0 would be another one in each worker; name a port")

    @property
    def host(self) -> str:
        """The host to listen on."""
        return parse_address(self.listen, "server.listen")[0]

    @property
    def port(self) -> int:
        """The port to listen on; 0: one that is free."""
        return parse_address(self.listen, "server.listen")[1]

    def is_loopback(self) -> bool:
        """Tell whether only this machine can reach the server."""
        return is_loopback(self.host)


def parse_address(text: str, field: str) -> tuple[str, int]:
    """Split HOST:PORT, with brackets around an IPv6 host; raise InvalidInput if it is malformed."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise InvalidInput(field, f"{text!r} is no address; write HOST:PORT, such as 127.0.0.1:50051")
    return host.removeprefix("[").removesuffix("]"), int(port)


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach that host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
