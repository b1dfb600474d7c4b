"""nearhash withdraw, remove, disable, enable, reinstate: one entry at once, matched or not within a second."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from nearhash.v1 import banks_pb2
from nearhash_index.entries import EntryKey
from nearhash_index.store.changes import Change, Disable, Enable, Reinstate, Remove, Withdraw
from nearhash_service.answering.messages import change_message
from nearhash_service.cli.author import author
from nearhash_service.cli.connection import Connection, connected
from nearhash_service.cli.printing import output

__all__ = ["PANEL", "Bank", "EntryId", "Reason", "Source", "app", "apply_change"]

app = typer.Typer()
PANEL = "Single entries"

Bank = Annotated[str, typer.Argument(help="The entry's bank.")]
EntryId = Annotated[str, typer.Argument(help="The entry's id, as a lookup tells it.")]
Source = Annotated[str, typer.Option(help="Who asserts the entry.")]
Reason = Annotated[str, typer.Option(help="Why, for the audit log.")]


@app.command(rich_help_panel=PANEL)
@connected()
def withdraw(
    connection: Connection, bank: Bank, entry_id: EntryId, source: Source = "local", reason: Reason = ""
) -> None:
    """Stop matching an entry for good: even after a roll back, and when a list brings it again. Forgets its hashes.

    Example: nearhash withdraw take-it-down case-1 --source ncmec --reason "case withdrawn" --data data
    """
    apply_change(connection, bank, Withdraw(EntryKey(entry_id, source)), "withdrawn", reason)


@app.command(rich_help_panel=PANEL)
@connected()
def remove(
    connection: Connection, bank: Bank, entry_id: EntryId, source: Source = "local", reason: Reason = ""
) -> None:
    """Forget an entry. A list may bring it again, and a roll back to a generation that has it, too.

    Example: nearhash remove take-it-down case-1 --data data
    """
    apply_change(connection, bank, Remove(EntryKey(entry_id, source)), "removed", reason)


@app.command(rich_help_panel=PANEL)
@connected()
def disable(
    connection: Connection,
    bank: Bank,
    entry_id: EntryId,
    source: Source = "local",
    until: Annotated[
        datetime | None, typer.Option(help="Local time from which it matches again; without it: until enabled.")
    ] = None,
    reason: Reason = "",
) -> None:
    """Stop matching an entry for a while.

    Example: nearhash disable take-it-down case-1 --until "2027-01-31 12:00:00" --data data
    """
    until_s = int(until.astimezone().timestamp()) if until else 0
    apply_change(connection, bank, Disable(EntryKey(entry_id, source), until_s), "disabled", reason)


@app.command(rich_help_panel=PANEL)
@connected()
def enable(
    connection: Connection, bank: Bank, entry_id: EntryId, source: Source = "local", reason: Reason = ""
) -> None:
    """Match a disabled entry again.

    Example: nearhash enable take-it-down case-1 --data data
    """
    apply_change(connection, bank, Enable(EntryKey(entry_id, source)), "enabled", reason)


@app.command(rich_help_panel=PANEL)
@connected()
def reinstate(
    connection: Connection, bank: Bank, entry_id: EntryId, source: Source = "local", reason: Reason = ""
) -> None:
    """Forget that an entry was withdrawn, so that a list can bring it again.

    Example: nearhash reinstate take-it-down case-1 --reason "withdrawn by mistake" --data data
    """
    apply_change(connection, bank, Reinstate(EntryKey(entry_id, source)), "reinstated", reason)


def apply_change(connection: Connection, bank: str, change: Change, done: str, reason: str) -> None:
    """Change one entry, and tell what was done."""
    request = banks_pb2.ApplyChangesRequest(bank=bank, changes=[change_message(change)], author=author(reason))
    with connection.banks() as banks:
        response = banks.ApplyChanges(request)
    if response.unchanged:
        output.print(f"{change.key.entry_id}: there is nothing to change")
    else:
        output.print(f"{change.key.entry_id}: {done}, sequence {response.sequence:,}")
