"""nearhash quarantine: list, release."""

from __future__ import annotations

from typing import Annotated

import typer

from nearhash.v1 import banks_pb2
from nearhash_index.entries import EntryKey
from nearhash_index.store.changes import Unquarantine
from nearhash_service.answering.wire_types import type_name
from nearhash_service.cli.connection import Connection, connected
from nearhash_service.cli.entries import Bank, EntryId, Reason, Source, apply_change
from nearhash_service.cli.printing import output, table

__all__ = ["app"]

app = typer.Typer()
_group = typer.Typer(help="Hashes kept aside because they would match too much.", no_args_is_help=True)
app.add_typer(_group, name="quarantine")


@_group.command("list")
@connected()
def list_entries(
    connection: Connection,
    bank: Annotated[str, typer.Argument(help="The bank to list.")],
    limit: Annotated[int, typer.Option(help="At most so many entries.")] = 100,
) -> None:
    """List a bank's entries with quarantined hashes, and why they are.

    Example: nearhash quarantine list take-it-down --data data
    """
    with connection.banks() as banks:
        entries = banks.ListQuarantine(banks_pb2.ListQuarantineRequest(bank=bank, limit=limit)).entries
    rows = table("entry_id", "source", "labels", "hash_type", "reason")
    for entry in entries:
        for number, reason in zip(entry.hash_types, entry.reasons, strict=True):
            rows.add_row(entry.key.entry_id, entry.key.source, ";".join(entry.labels), type_name(number), reason)
    output.print(rows)


@_group.command()
@connected()
def release(
    connection: Connection, bank: Bank, entry_id: EntryId, source: Source = "local", reason: Reason = ""
) -> None:
    """Match an entry's quarantined hashes, now and when a list brings them again.

    A degenerate hash matches no lookup even then: the same hash looked up is not searched.

    Example: nearhash quarantine release take-it-down case-1 --reason "reviewed" --data data
    """
    apply_change(connection, bank, Unquarantine(EntryKey(entry_id, source)), "released", reason)
