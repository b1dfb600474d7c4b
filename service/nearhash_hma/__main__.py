"""The command nearhash-hma."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import sys
from pathlib import Path
from typing import Annotated

try:
    import typer
    import uvicorn

    from .app import Bounds, make_app
except ModuleNotFoundError as missing:
    sys.exit(f"nearhash-hma: {missing.name} is not installed; the command needs: pip install 'nearhash[hma]'")
from nearhash_client import TLS, AsyncClient, NearHashError
from nearhash_client.hashing import HashingPool
from nearhash_client.targets import is_on_this_machine

_MAX_CONNECTIONS = 256
_DRAIN_S = 10


def serve(
    target: Annotated[list[str] | None, typer.Option(help="A NearHash server; repeat for more.")] = None,
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Port 0: one that is free.")] = "127.0.0.1:5100",
    token_file: Annotated[
        Path | None, typer.Option(help="What the server knows this shim by: whoever reaches it looks up with it.")
    ] = None,
    target_ca: Annotated[Path | None, typer.Option(help="Speak TLS to the server; PEM of its authority.")] = None,
    target_certificate: Annotated[Path | None, typer.Option(help="PEM of the shim's certificate, for mTLS.")] = None,
    target_key: Annotated[Path | None, typer.Option(help="PEM of the shim's private key, for mTLS.")] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="Speak HTTPS; PEM of the certificate chain.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM of the private key.")] = None,
    tls_client_ca: Annotated[
        Path | None, typer.Option(help="PEM of an authority: only clients with its certificate are let in.")
    ] = None,
    allow_plaintext: Annotated[
        bool, typer.Option("--allow-plaintext", help="Serve other machines without TLS: for networks that encrypt.")
    ] = False,
    timeout_s: Annotated[
        float, typer.Option(min=0.001, help="For a lookup, an upload, and its hashing, each.")
    ] = Bounds.timeout_s,
    max_file_bytes: Annotated[int, typer.Option(min=1, help="Of an upload.")] = Bounds.max_file_bytes,
    max_pixels: Annotated[int, typer.Option(min=1, help="Of an uploaded image.")] = Bounds.max_pixels,
) -> None:
    """Answer HMA's /m/raw_lookup, /m/lookup and /status from a NearHash server, until SIGTERM or Ctrl-C.

    Example: nearhash-hma --target 127.0.0.1:50051 --listen 127.0.0.1:5100
    """
    if (tls_certificate is None) != (tls_key is None):
        raise typer.BadParameter("give --tls-certificate and --tls-key together")
    if tls_certificate is None and tls_client_ca is not None:
        raise typer.BadParameter("--tls-client-ca needs --tls-certificate and --tls-key")
    if tls_certificate is None and not is_on_this_machine(listen) and not allow_plaintext:
        raise typer.BadParameter(f"{listen} is open to other machines: give --tls-certificate, or --allow-plaintext")
    tls = None
    if target_ca or target_certificate or target_key:
        tls = TLS.from_files(root_certificates=target_ca, certificate_chain=target_certificate, private_key=target_key)
    bounds = Bounds(timeout_s, max_file_bytes, max_pixels)

    async def run() -> None:
        async with AsyncClient(target or "127.0.0.1:50051", tls=tls, token=token_file) as client:
            config = uvicorn.Config(
                make_app(client, pool, bounds),
                # Its lines would hold the hashes that are looked up.
                access_log=False,
                log_level="warning",
                limit_concurrency=_MAX_CONNECTIONS,
                timeout_graceful_shutdown=_DRAIN_S,
                server_header=False,
                ssl_certfile=tls_certificate,
                ssl_keyfile=tls_key,
                ssl_ca_certs=None if tls_client_ca is None else str(tls_client_ca),
                ssl_cert_reqs=ssl.CERT_NONE if tls_client_ca is None else ssl.CERT_REQUIRED,
            )
            with _listening(listen) as listener:
                typer.echo(f"serving HMA's lookups at {_address(listener)}")
                await uvicorn.Server(config).serve(sockets=[listener])

    # uvicorn drains on SIGTERM and then sends it again, which would end this process before the pool's.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with HashingPool(timeout_s=bounds.timeout_s) as pool:
        asyncio.run(run())


def _listening(listen: str) -> socket.socket:
    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise typer.BadParameter(f"--listen {listen}: write HOST:PORT, such as 127.0.0.1:5100")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, int(port)), family=family)
    # Connections inherit it. Without, each answer but the first on a connection comes 40 ms late: its body waits until
    # the client has acknowledged its headers. asyncio sets it on sockets that were made with a protocol's number alone.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def main() -> None:
    """Run the command. Exit status 1: it failed; 2: it was called wrongly."""
    try:
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.command()(serve)
        app()
    except (NearHashError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
