"""nearhash token."""

from __future__ import annotations

import os
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer()

_RANDOM_BYTES = 32


@app.command()
def token(
    file: Annotated[
        Path | None, typer.Option(help="Write it here, for its owner alone to read, instead of showing it.")
    ] = None,
) -> None:
    """Make a token for a caller, and print the SHA-256 that the server's configuration names.

    The caller shows the token with each call; the server keeps only the SHA-256.

    Example: nearhash token --file uploads.token
    """
    made = secrets.token_urlsafe(_RANDOM_BYTES)
    if file is None:
        typer.echo(f"token: {made}")
    else:
        # Not even for a moment readable to others; and another token is not overwritten.
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as opened:
            opened.write(f"{made}\n")
    typer.echo(f'token_sha256 = ["{sha256(made.encode()).hexdigest()}"]')
