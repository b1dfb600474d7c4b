"""nearhash serve."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from nearhash_index.errors import InvalidInput
from nearhash_service.building import PublishPolicy
from nearhash_service.cli.connection import DEFAULT_TARGET
from nearhash_service.cli.printing import output
from nearhash_service.config import ServerConfig, TLSFiles, parse_address
from nearhash_service.supervisor import serve as run_workers

__all__ = ["serve"]


def serve(
    data: Annotated[
        Path, typer.Option(help="The data directory; made if there is none.", envvar="NEARHASH_DATA", metavar="DIR")
    ],
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Port 0: one that is free.")] = DEFAULT_TARGET,
    workers: Annotated[int, typer.Option(help="Processes that share the port and the memory map.")] = 1,
    auto_publish: Annotated[bool, typer.Option(help="Whether to publish unasked.")] = True,
    publish_changes: Annotated[int, typer.Option(min=1, help="... as soon as so many changes wait.")] = 50_000,
    publish_age_s: Annotated[float, typer.Option(min=1, help="... as soon as one has waited so many seconds.")] = 900,
    tls_certificate: Annotated[Path | None, typer.Option(help="PEM of the certificate chain.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM of the private key.")] = None,
    tls_client_ca: Annotated[
        Path | None, typer.Option(help="PEM of an authority: only clients with its certificate are let in.")
    ] = None,
    allow_plaintext: Annotated[
        bool, typer.Option("--allow-plaintext", help="Serve other machines without TLS: for networks that encrypt.")
    ] = False,
) -> None:
    """Serve lookups and administration until SIGTERM or Ctrl-C, then let calls in flight end.

    Example: nearhash serve --data data --listen 127.0.0.1:50051 --workers 2
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s supervisor %(process)d %(levelname)s %(message)s")
    host, port = parse_address(listen, "--listen")
    config = ServerConfig(
        data=data,
        host=host,
        port=port,
        workers=workers,
        tls=_tls(tls_certificate, tls_key, tls_client_ca),
        allow_plaintext=allow_plaintext,
        auto_publish=PublishPolicy(publish_changes, publish_age_s) if auto_publish else None,
    )
    run_workers(config, lambda host, port: output.print(f"serving {data} at {host}:{port} with {workers} workers"))
    output.print("stopped")


def _tls(certificate: Path | None, key: Path | None, client_authority: Path | None) -> TLSFiles | None:
    if certificate is None and key is None and client_authority is None:
        return None
    if certificate is None or key is None:
        raise InvalidInput("--tls-certificate, --tls-key", "only one of them; TLS needs both")
    return TLSFiles(certificate, key, client_authority)
