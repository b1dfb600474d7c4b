"""nearhash publish, nearhash rollback, nearhash release."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import grpc
import typer

from nearhash.v1 import banks_pb2
from nearhash_service.cli.author import author
from nearhash_service.cli.connection import Connection, connected
from nearhash_service.cli.entries import Reason
from nearhash_service.cli.printing import errors, output, table
from nearhash_service.cli.status import build_text

__all__ = ["app"]

app = typer.Typer()

_LOOK_EVERY_S = 0.5


@app.command()
@connected()
def publish(
    connection: Connection,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would change.")] = False,
    keep: Annotated[
        int, typer.Option(min=0, max=1000, help="So many earlier generations stay for roll back. 0: as is set.")
    ] = 0,
    reason: Reason = "",
) -> None:
    """Build a generation from the banks, and serve it.

    Servers follow changes without it. It makes them cheap to search, and is needed after a large import.

    Example: nearhash publish --data data
    """
    request = banks_pb2.PublishRequest(dry_run=dry_run, author=author(reason), kept_generations=keep)
    with connection.banks() as banks, errors.status("building") as shown:
        call = banks.Publish.future(request)
        while not call.done():
            with suppress(grpc.FutureTimeoutError):
                call.result(timeout=_LOOK_EVERY_S)
            if errors.is_terminal and not call.done():
                shown.update(build_text(banks.GetStatus(banks_pb2.GetStatusRequest())) or "building")
        response = call.result()
    if dry_run:
        rows = table("bank", "added", "updated", "removed", right=("added", "updated", "removed"))
        for diff in response.diffs:
            rows.add_row(diff.bank, f"{diff.added:,}", f"{diff.updated:,}", f"{diff.removed:,}")
        output.print(rows)
    else:
        output.print(_told("published", response.generation))


@app.command()
@connected()
def rollback(
    connection: Connection,
    generation: Annotated[
        int, typer.Argument(min=0, max=2**63 - 1, help="Its number; without it, the one before the current.")
    ] = 0,
    reason: Reason = "",
) -> None:
    """Serve an earlier generation again, as it was, until released. Banks and entries stay as they are.

    What has been withdrawn or disabled since does not match, all the same.

    Example: nearhash rollback --data data
    """
    with connection.banks() as banks:
        response = banks.Rollback(banks_pb2.RollbackRequest(generation=generation, author=author(reason)))
    output.print(_told("rolled back to", response.generation))


@app.command()
@connected()
def release(connection: Connection, reason: Reason = "") -> None:
    """End a roll back: serve the newest generation again, with all changes since.

    Example: nearhash release --data data
    """
    with connection.banks() as banks:
        response = banks.Release(banks_pb2.ReleaseRequest(author=author(reason)))
    output.print(_told("released; serving", response.generation))


def _told(verb: str, generation: banks_pb2.Generation) -> str:
    return (
        f"{verb} generation {generation.number}: {generation.entry_count:,} entries, "
        f"sequence {generation.sequence:,}, {generation.size_bytes / 1e6:,.1f} MB"
    )
