"""Channels to a NearHash server, with the options that a long-lived client needs."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import grpc
import grpc.aio

from .errors import invalid

# A worker that restarts is back within two seconds; the waits before the four retries add up to 3.3 s.
_SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            # Calls that may run twice without harm. Every other call fails at the first UNAVAILABLE.
            "name": [
                {"service": "nearhash.v1.LookupService"},
                {"service": "nearhash.v1.BankService", "method": "ApplyChanges"},
                {"service": "nearhash.v1.BankService", "method": "ListBanks"},
                {"service": "nearhash.v1.BankService", "method": "ListGenerations"},
                {"service": "nearhash.v1.BankService", "method": "GetStatus"},
            ],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "backoffMultiplier": 3,
                "maxBackoff": "2s",
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
    # A failure takes one token, a success returns a tenth; below half there are no retries. So a restart with hundreds
    # of calls in flight is ridden out, and a server that stays down is not flooded.
    "retryThrottling": {"maxTokens": 500, "tokenRatio": 0.1},
}

_MAX_RECEIVE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class TLS:
    """How to secure a connection. With a key and its chain the client proves who it is (mTLS).

    Attributes
    ----------
    root_certificates
        PEM of the authorities that may have signed the server's certificate; None: those that gRPC ships.
    private_key, certificate_chain
        PEM of the client's key and certificates; both or neither.
    server_name
        The name to expect in the server's certificate; None: the target's host.

    Raises
    ------
    InvalidRequest
        If only one of `private_key` and `certificate_chain` is given.
    """

    root_certificates: bytes | None = None
    private_key: bytes | None = field(default=None, repr=False)
    certificate_chain: bytes | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.private_key is None) != (self.certificate_chain is None):
            missing = "private_key" if self.private_key is None else "certificate_chain"
            raise invalid(f"tls.{missing}", "found None; the private key and its certificate chain go together")

    @classmethod
    def from_files(
        cls,
        *,
        root_certificates: str | os.PathLike[str] | None = None,
        private_key: str | os.PathLike[str] | None = None,
        certificate_chain: str | os.PathLike[str] | None = None,
        server_name: str | None = None,
    ) -> Self:
        """Read the PEM files.

        Raises
        ------
        OSError
            If a file cannot be read.
        InvalidRequest
            If only one of `private_key` and `certificate_chain` is given.
        """
        return cls(
            root_certificates=None if root_certificates is None else Path(root_certificates).read_bytes(),
            private_key=None if private_key is None else Path(private_key).read_bytes(),
            certificate_chain=None if certificate_chain is None else Path(certificate_chain).read_bytes(),
            server_name=server_name,
        )


def channel_options() -> list[tuple[str, str | int]]:
    """Return the channel arguments: retries, load balancing, keepalive, reconnection and size limits."""
    return [
        ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
        # A request larger than this buffer is not retried; gRPC's own 256 KiB is less than a large import sends.
        ("grpc.per_rpc_retry_buffer_size", 4 * 1024 * 1024),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # gRPC's own pause grows to two minutes, long after a restarted server is back.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        ("grpc.max_receive_message_length", _MAX_RECEIVE_BYTES),
    ]


def open_channel(target: str, *, tls: TLS | None) -> grpc.Channel:
    """Open a channel. It connects with the first call.

    Parameters
    ----------
    target
        gRPC's name of the server: ``host:port``, ``dns:///host:port`` or ``unix:/path``. Calls go round robin over all
        addresses that the name resolves to.
    tls
        None sends everything in plain text, for anybody on the way to read: only for loopback, a Unix socket, or a
        network that encrypts by itself.
    """
    if tls is None:
        return grpc.insecure_channel(target, options=channel_options())
    return grpc.secure_channel(target, _credentials(tls), options=[*channel_options(), *_name_options(tls)])


def open_aio_channel(target: str, *, tls: TLS | None) -> grpc.aio.Channel:
    """Open an asyncio channel, as `open_channel` does. To be called in a running event loop."""
    if tls is None:
        return grpc.aio.insecure_channel(target, options=channel_options())
    return grpc.aio.secure_channel(target, _credentials(tls), options=[*channel_options(), *_name_options(tls)])


def _credentials(tls: TLS) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(tls.root_certificates, tls.private_key, tls.certificate_chain)


def _name_options(tls: TLS) -> list[tuple[str, str | int]]:
    return [] if tls.server_name is None else [("grpc.ssl_target_name_override", tls.server_name)]
