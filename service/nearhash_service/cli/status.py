"""nearhash status."""

from __future__ import annotations

from typing import Annotated

import typer
from google.protobuf.json_format import MessageToJson

from nearhash.v1 import banks_pb2
from nearhash_service.cli.banks import bank_table
from nearhash_service.cli.connection import Connection, connected
from nearhash_service.cli.printing import local_time, output, table

__all__ = ["status"]


@connected()
def status(
    connection: Connection,
    as_json: Annotated[bool, typer.Option("--json", help="Print the server's messages as JSON.")] = False,
) -> None:
    """Show banks, generations, and what is served.

    Example: nearhash status --target 127.0.0.1:50051
    """
    with connection.banks() as banks:
        now = banks.GetStatus(banks_pb2.GetStatusRequest())
        generations = banks.ListGenerations(banks_pb2.ListGenerationsRequest()).generations
    if as_json:
        typer.echo(MessageToJson(now, always_print_fields_with_no_presence=True, preserving_proto_field_name=True))
        return
    output.print(_summary(now))
    output.print(bank_table(list(now.banks)))
    if generations:
        output.print(_generation_table(generations))


def _summary(now: banks_pb2.GetStatusResponse) -> str:
    lines = [
        f"sequence {now.sequence:,}; published up to {now.current.sequence:,}",
        f"process {now.worker.process_id} serves "
        + (
            f"generation {now.worker.generation} and {now.worker.delta_entry_count:,} entries added since, "
            f"up to sequence {now.worker.sequence:,}"
            if now.worker.generation
            else "nothing yet"
        ),
    ]
    if now.worker.reload_error:
        lines.append(f"a newer generation was refused: {now.worker.reload_error}")
    return "\n".join(lines)


def _mark(generation: banks_pb2.Generation) -> str:
    return " (pinned)" if generation.pinned else " (current)" if generation.current else ""


def _generation_table(generations: object) -> object:
    made = table("generation", "published", "entries", "sequence", "MB", right=("entries", "sequence", "MB"))
    for generation in generations:  # type: ignore[attr-defined]
        made.add_row(
            f"{generation.number}{_mark(generation)}",
            local_time(generation.create_time),
            f"{generation.entry_count:,}",
            f"{generation.sequence:,}",
            f"{generation.size_bytes / 1e6:,.1f}",
        )
    return made
