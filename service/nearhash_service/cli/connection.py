"""Where a command connects to: a server, or a data directory through a server of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearhash.v1 import banks_pb2_grpc
from nearhash_client import TLS, Client, Token
from nearhash_client.channel import open_channel
from nearhash_service.cli.shared_options import with_options_of

if TYPE_CHECKING:
    from nearhash_index.store import Registry

__all__ = ["DEFAULT_TARGET", "Connection", "connected"]

DEFAULT_TARGET = "127.0.0.1:50051"


@dataclass(frozen=True, slots=True)
class Connection:
    """A server to talk to.

    Attributes
    ----------
    target : str
    tls : TLS, optional
    token : Token, optional
    registry : Registry, optional
        The data directory's, if the server is this process.
    """

    target: str
    tls: TLS | None = None
    token: Token | None = field(default=None, repr=False)
    registry: Registry | None = None

    @contextmanager
    def banks(self) -> Iterator[banks_pb2_grpc.BankServiceStub]:
        """Yield the stub of BankService."""
        with open_channel(self.target, tls=self.tls, token=self.token) as channel:
            yield banks_pb2_grpc.BankServiceStub(channel)

    def client(self) -> Client:
        """Return a client for lookups."""
        return Client(self.target, tls=self.tls, token=self.token)


def connected(*, create: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options that say where to connect, and pass it the connection as its first argument.

    Parameters
    ----------
    create : bool
        Whether --data may name a folder that is still to be made.
    """
    return with_options_of(_connection, create=create)


@contextmanager
def _connection(
    data: Annotated[
        Path | None,
        typer.Option(help="Work on this data directory, without a server.", envvar="NEARHASH_DATA", metavar="DIR"),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help=f"Talk to this server. Without --data and --target: {DEFAULT_TARGET}.",
            envvar="NEARHASH_TARGET",
            metavar="HOST:PORT",
        ),
    ] = None,
    use_tls: Annotated[
        bool, typer.Option("--tls", help="Speak TLS with a server whose certificate a public authority has signed.")
    ] = False,
    tls_ca: Annotated[
        Path | None, typer.Option(help="Speak TLS; PEM of the authority that signed the server's certificate.")
    ] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="PEM of the own certificate, for mTLS.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM of the own private key, for mTLS.")] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help="A file with the token to show; or put the token into NEARHASH_TOKEN.", metavar="FILE"),
    ] = None,
    *,
    create: bool = False,
) -> Iterator[Connection]:
    if data is not None and target is not None:
        raise typer.BadParameter("give --data or --target, not both")
    if data is not None:
        # What a server needs is loaded where there is none yet.
        from nearhash_service.cli.own_server import own_server  # noqa: PLC0415

        with own_server(data, create=create) as (address, registry):
            yield Connection(address, registry=registry)
        return
    tls = None
    if use_tls or tls_ca or tls_certificate or tls_key:
        tls = TLS.from_files(root_certificates=tls_ca, certificate_chain=tls_certificate, private_key=tls_key)
    yield Connection(target or DEFAULT_TARGET, tls, token_file or os.environ.get("NEARHASH_TOKEN") or None)
