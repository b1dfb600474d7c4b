"""nearhash publish, nearhash rollback."""

from __future__ import annotations

from typing import Annotated

import typer

from nearhash.v1 import banks_pb2
from nearhash_service.cli.connection import Connection, connected
from nearhash_service.cli.printing import errors, output

__all__ = ["publish", "rollback"]


@connected()
def publish(connection: Connection) -> None:
    """Build a generation from the banks, and serve it. Running servers follow within a second.

    Example: nearhash publish --data data
    """
    with connection.banks() as banks, errors.status("building"):
        generation = banks.Publish(banks_pb2.PublishRequest()).generation
    output.print(_told("published", generation))


@connected()
def rollback(
    connection: Connection,
    generation: Annotated[
        int, typer.Argument(min=0, max=2**63 - 1, help="Its number; without it, the one before the current.")
    ] = 0,
) -> None:
    """Serve an earlier generation again. Banks and entries stay as they are; the next publish brings them back.

    A hash withdrawn since that generation matches again until then: remove it and publish instead where that matters.

    Example: nearhash rollback --data data
    """
    with connection.banks() as banks:
        response = banks.Rollback(banks_pb2.RollbackRequest(generation=generation))
    output.print(_told("rolled back to", response.generation))


def _told(verb: str, generation: banks_pb2.Generation) -> str:
    return (
        f"{verb} generation {generation.number}: {generation.entry_count:,} entries, "
        f"sequence {generation.sequence:,}, {generation.size_bytes / 1e6:,.1f} MB"
    )
