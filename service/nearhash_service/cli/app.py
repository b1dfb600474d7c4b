"""Puts the commands together, and turns errors into one line and an exit status."""

from __future__ import annotations

import sys

import grpc
import typer

from nearhash_client import NearHashError, error_from_rpc
from nearhash_index.errors import NearHashIndexError
from nearhash_service.cli import (
    auditing,
    banks,
    conformance,
    entries,
    estimating,
    hashing,
    importing,
    lookups,
    matching,
    publishing,
    quarantine,
    serving,
    showing,
    status,
    tokens,
    top,
)
from nearhash_service.cli.printing import print_error

__all__ = ["run"]

_EPILOG = (
    "A first session: nearhash bank create, import, publish, serve; then lookup. Each command's --help has an example."
)

app = typer.Typer(
    name="nearhash",
    help="Tells which entries of your hash lists lie within a Hamming radius of an image's hash, exactly.",
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
banks.app.command()(estimating.estimate)
app.add_typer(banks.app, name="bank")
app.add_typer(quarantine.app, name="quarantine")
app.command("import")(importing.import_list)
app.command()(publishing.publish)
app.command()(publishing.rollback)
app.command()(publishing.release)
app.command()(serving.serve)
app.command("config")(serving.show_config)
app.command()(tokens.token)
app.command()(lookups.lookup)
app.command("hash")(hashing.hash_files)
app.command()(matching.match)
app.command()(conformance.conformance)
app.command()(status.status)
app.command()(status.watch)
app.command()(top.top)
app.command()(auditing.audit)
for command in (showing.show, entries.withdraw, entries.remove, entries.disable, entries.enable, entries.reinstate):
    app.command(rich_help_panel="Single entries")(command)


def run() -> None:
    """Run the command that the arguments name. Exit status 1: it failed; 2: it was called wrongly."""
    try:
        app()
    except grpc.RpcError as error:
        _fail(error_from_rpc(error))
    except (NearHashError, NearHashIndexError, OSError) as error:
        _fail(error)


def _fail(error: Exception) -> None:
    print_error(error)
    sys.exit(1)
