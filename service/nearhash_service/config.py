"""What a server is told: one frozen value, validated once."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from nearhash_index.errors import InvalidInput
from nearhash_service.building import PublishPolicy

__all__ = ["ServerConfig", "TLSFiles", "parse_address"]


@dataclass(frozen=True, slots=True)
class TLSFiles:
    """PEM files of a server that speaks TLS.

    Attributes
    ----------
    certificate_chain, private_key : Path
    client_authority : Path, optional
        If given, only clients with a certificate that it signed are let in (mTLS).
    """

    certificate_chain: Path
    private_key: Path
    client_authority: Path | None = None

    def __post_init__(self) -> None:
        for path in (self.certificate_chain, self.private_key, self.client_authority):
            if path is not None and not path.is_file():
                raise InvalidInput(str(path), "no such file; give a PEM file")
        # Found here, not in workers that cannot start.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.certificate_chain, self.private_key, password="")
        except ssl.SSLError:
            raise InvalidInput(
                f"{self.certificate_chain}, {self.private_key}",
                "no certificate with its private key; give PEM files that belong together, the key not encrypted",
            ) from None
        if self.client_authority is not None:
            try:
                context.load_verify_locations(self.client_authority)
            except ssl.SSLError:
                raise InvalidInput(str(self.client_authority), "no certificate; give a PEM file") from None


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """What `nearhash serve` runs.

    Attributes
    ----------
    data : Path
        The data directory.
    host : str
    port : int
        0: one that is free.
    workers : int
        Processes that share the port and the memory map, 1 to 256.
    tls : TLSFiles, optional
        Without it only loopback addresses are served, unless `allow_plaintext`.
    allow_plaintext : bool
        Serve any address in plain text: whoever is on the way can read hashes and change banks.
    auto_publish : PublishPolicy, optional
        When to publish unasked; without it, never.
    reload_interval_s : float
        How often a worker looks for changes.
    drain_delay_s : float
        Between telling NOT_SERVING and refusing new calls, for load balancers to notice.
    drain_grace_s : float
        Time for calls in flight to end.

    Raises
    ------
    InvalidInput
        Naming the option.
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = 50051
    workers: int = 1
    tls: TLSFiles | None = None
    allow_plaintext: bool = False
    auto_publish: PublishPolicy | None = field(default_factory=PublishPolicy)
    reload_interval_s: float = 0.1
    drain_delay_s: float = 0.3
    drain_grace_s: float = 10.0

    def __post_init__(self) -> None:
        if not 1 <= self.workers <= 256:
            raise InvalidInput("--workers", f"{self.workers} is out of range; use 1 to 256")
        if self.tls is None and not self.allow_plaintext and not _is_loopback(self.host):
            raise InvalidInput(
                "--listen",
                f"{self.host} can be reached from other machines and there is no TLS; give --tls-certificate and "
                "--tls-key, listen on 127.0.0.1, or say --allow-plaintext if the network encrypts",
            )


def parse_address(text: str, field: str) -> tuple[str, int]:
    """Split HOST:PORT, with brackets around an IPv6 host; raise InvalidInput if it is malformed."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise InvalidInput(field, f"{text!r} is no address; write HOST:PORT, such as 127.0.0.1:50051")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
