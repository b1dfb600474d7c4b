"""Channels to a NearHash server, with the options that a long-lived client needs."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Self

import grpc
import grpc.aio

from .errors import invalid
from .targets import is_on_this_machine, may_be_several, target_name
from .tokens import AioTokenInterceptor, Token, TokenInterceptor, token_source

# For clients in any language. Calls that may run twice without harm are tried again; every other one fails at the first
# UNAVAILABLE. A worker that restarts is back within two seconds, and the waits before the four retries add up to 3.3 s.
# CANCELLED is what gRPC tells of calls beyond those that it keeps. A failure takes one token, a success gives a tenth
# back, and below half there are no retries: a restart with hundreds of calls in flight is ridden out, and a server that
# stays down is not flooded.
_SERVICE_CONFIG: dict[str, object] = json.loads(
    files("nearhash.v1").joinpath("nearhash_grpc_service_config.json").read_text()
)

MOST_CALLS = 100
"""Of a client under way: a server refuses those beyond 200 on a connection, and counts them until they are put away."""
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
        The name to expect in the server's certificate; None: the target's host. Needed for a list of addresses.

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


def open_channel(
    target: str | Sequence[str],
    *,
    tls: TLS | None = None,
    token: Token | None = None,
    watched_service: str | None = None,
) -> grpc.Channel:
    """Open a channel. It connects with the first call.

    Parameters
    ----------
    target
        gRPC's name of the server: ``host:port``, ``dns:///host:port`` or ``unix:/path``; or several servers, as
        `target_name` takes them. Calls go round robin over all addresses.
    tls
        None sends everything in plain text, for anybody on the way to read: only for loopback, a Unix socket, or a
        network that encrypts by itself.
    token
        A bearer token, as `token_source` takes it. Never sent in plain text, except on this machine.
    watched_service
        Of several servers, in a list or under one name with ``dns:``, those whose health says that they do not serve
        this service get no calls. A single server is always called: its health would only delay its answer.

    Raises
    ------
    InvalidRequest
        If `target` names no server, or `token` is none or would leave this machine in plain text.
    OSError
        If the token's file cannot be read.
    """
    name, source = _checked(target, tls, token)
    options = _options(name, tls, watched_service)
    if tls is None:
        channel = grpc.insecure_channel(name, options=options)
    else:
        channel = grpc.secure_channel(name, _credentials(tls), options=options)
    return channel if source is None else grpc.intercept_channel(channel, TokenInterceptor(source))


def open_aio_channel(
    target: str | Sequence[str],
    *,
    tls: TLS | None = None,
    token: Token | None = None,
    watched_service: str | None = None,
) -> grpc.aio.Channel:
    """Open an asyncio channel, as `open_channel` does. To be called in a running event loop."""
    name, source = _checked(target, tls, token)
    options = _options(name, tls, watched_service)
    interceptors = [] if source is None else [AioTokenInterceptor(source)]
    if tls is None:
        return grpc.aio.insecure_channel(name, options=options, interceptors=interceptors)
    return grpc.aio.secure_channel(name, _credentials(tls), options=options, interceptors=interceptors)


def _checked(target: str | Sequence[str], tls: TLS | None, token: Token | None) -> tuple[str, Callable[[], str] | None]:
    name = target_name(target)
    if tls is not None and tls.server_name is None and "," in name:
        # gRPC would compare the certificate with the whole list, and connect never.
        raise invalid("tls.server_name", "found None; several addresses need the one name that all certificates have")
    if token is None:
        return name, None
    if tls is None and not is_on_this_machine(name):
        raise invalid("token", "found one without TLS; give tls=TLS(...), or whoever listens on the way can use it")
    return name, token_source(token)


def _credentials(tls: TLS) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(tls.root_certificates, tls.private_key, tls.certificate_chain)


def _options(name: str, tls: TLS | None, watched_service: str | None) -> list[tuple[str, str | int]]:
    config = _SERVICE_CONFIG
    if watched_service is not None and may_be_several(name):
        config = {**config, "healthCheckConfig": {"serviceName": watched_service}}
    options: list[tuple[str, str | int]] = [
        ("grpc.service_config", json.dumps(config)),
        # A request larger than this buffer is not retried; gRPC's own 256 KiB is less than a large import sends.
        ("grpc.per_rpc_retry_buffer_size", 4 * 1024 * 1024),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # gRPC's own pause grows to two minutes, long after a restarted server is back.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        ("grpc.max_receive_message_length", _MAX_RECEIVE_BYTES),
    ]
    if is_on_this_machine(name):
        # A proxy of the environment would carry even this off the machine.
        options.append(("grpc.enable_http_proxy", 0))
    if tls is not None and tls.server_name is not None:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    return options
