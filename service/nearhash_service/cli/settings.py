"""nearhash config, and the options that set what `nearhash serve` does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from nearhash_service.cli.shared_options import with_options_of
from nearhash_service.config import ConfigSources, Given
from nearhash_service.config.example import effective, example

__all__ = ["app", "config_sources"]

app = typer.Typer()


@contextmanager
def config_sources(
    file: Annotated[
        Path | None,
        typer.Option("--config", help="The configuration, a TOML file.", envvar="NEARHASH_CONFIG", metavar="FILE"),
    ] = None,
    data: Annotated[str | None, typer.Option(help="The data directory; made if there is none.", metavar="DIR")] = None,
    listen: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Port 0: one that is free.")] = None,
    workers: Annotated[str | None, typer.Option(help="Processes that share the port.", metavar="INTEGER")] = None,
    tls_certificate: Annotated[str | None, typer.Option(help="PEM of the certificate chain.", metavar="FILE")] = None,
    tls_key: Annotated[str | None, typer.Option(help="PEM of the private key.", metavar="FILE")] = None,
    tls_client_ca: Annotated[
        str | None,
        typer.Option(help="PEM of an authority: only clients with its certificate are let in.", metavar="FILE"),
    ] = None,
    allow_plaintext: Annotated[
        bool, typer.Option("--allow-plaintext", help="Serve other machines without TLS: for networks that encrypt.")
    ] = False,
    allow_anyone: Annotated[
        bool,
        typer.Option("--allow-anyone", help="Let other machines do everything although no callers are configured."),
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other setting; `nearhash config` lists them.", metavar="SECTION.KEY=VALUE"),
    ] = None,
) -> Iterator[ConfigSources]:
    """Yield where the settings come from; to be passed to `with_options_of`."""
    common = {
        "server.data": data,
        "server.listen": listen,
        "server.workers": workers,
        "server.allow_plaintext": "true" if allow_plaintext else None,
        "server.allow_anyone": "true" if allow_anyone else None,
        "tls.certificate": tls_certificate,
        "tls.key": tls_key,
        "tls.client_ca": tls_client_ca,
    }
    flags = {key: Given(value, _flag(key)) for key, value in common.items() if value is not None}
    for setting in settings or ():
        key, equals, value = setting.partition("=")
        if not equals:
            raise typer.BadParameter(f"{setting!r}; write SECTION.KEY=VALUE, such as publish.auto=false")
        flags[key] = Given(value, f"--set {key}")
    yield ConfigSources(file, flags=flags)


@app.command("config")
@with_options_of(config_sources)
def show_config(
    sources: ConfigSources,
    as_example: Annotated[
        bool, typer.Option("--example", help="Print a commented file with all settings and their defaults instead.")
    ] = False,
) -> None:
    """Show the settings that `nearhash serve` would use with the same options, and where each comes from.

    Example: nearhash config --config nearhash.toml --workers 2
    """
    typer.echo(example() if as_example else effective(sources.load()), nl=False)


def _flag(key: str) -> str:
    """Return the flag of a setting that has one."""
    section, _, name = key.partition(".")
    return "--" + (name if section == "server" else f"{section}-{name}").replace("_", "-")
