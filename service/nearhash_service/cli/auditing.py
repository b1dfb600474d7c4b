"""nearhash audit."""

from __future__ import annotations

from typing import Annotated

import typer
from google.protobuf.json_format import MessageToJson

from nearhash.v1 import banks_pb2
from nearhash_service.cli.connection import Connection, connected
from nearhash_service.cli.printing import local_time, output, table

__all__ = ["app"]

app = typer.Typer()


@app.command()
@connected()
def audit(
    connection: Connection,
    limit: Annotated[int, typer.Option(help="At most so many records, the newest.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per record.")] = False,
) -> None:
    """Show who changed what, when and why, the newest first.

    Example: nearhash audit --limit 20 --data data
    """
    with connection.banks() as banks:
        records = banks.ListAudit(banks_pb2.ListAuditRequest(limit=limit)).records
    rows = table("time", "who", "bank", "what", "entries", "sequence", "reason", right=("sequence",))
    for record in records:
        if as_json:
            typer.echo(MessageToJson(record, preserving_proto_field_name=True, indent=None))
        rows.add_row(
            local_time(record.time),
            record.author.actor,
            record.bank,
            record.action,
            _entries(record),
            f"{record.last_sequence:,}",
            record.author.reason,
        )
    if not as_json:
        output.print(rows)


def _entries(record: banks_pb2.AuditRecord) -> str:
    """Name the entry if there was one, else tell how many."""
    total = sum(record.counts.values())
    return record.entries[0].entry_id if total == 1 else f"{total:,}" if total else ""
