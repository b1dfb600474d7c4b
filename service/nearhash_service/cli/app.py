"""Puts the commands together, and turns errors into one line and an exit status."""

from __future__ import annotations

import sys

import grpc
import typer

from nearhash_client import NearHashError, error_from_rpc
from nearhash_index.errors import NearHashIndexError
from nearhash_service.cli.commands import Commands
from nearhash_service.cli.printing import print_error

__all__ = ["run"]

_EPILOG = (
    "A first session: nearhash bank create, import, publish, serve; then lookup. Each command's --help has an example."
)

app = typer.Typer(name="nearhash", cls=Commands, epilog=_EPILOG, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def nearhash() -> None:
    """Tells which entries of your hash lists lie within a Hamming radius of an image's hash, exactly."""


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
