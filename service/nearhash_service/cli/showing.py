"""nearhash show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import typer

from nearhash.v1 import banks_pb2, lookup_pb2
from nearhash_service.answering.wire_types import type_name
from nearhash_service.cli.connection import Connection, connected
from nearhash_service.cli.entries import PANEL, Bank, EntryId
from nearhash_service.cli.printing import local_time, output, table

__all__ = ["app"]

app = typer.Typer()


@app.command(rich_help_panel=PANEL)
@connected()
def show(connection: Connection, bank: Bank, entry_id: EntryId) -> None:
    """Show what is known of an entry, from each source that asserts it, and whether lookups match it now.

    Its hashes are told by their types alone.

    Example: nearhash show take-it-down case-1 --data data
    """
    with connection.banks() as banks:
        told = banks.GetEntry(banks_pb2.GetEntryRequest(bank=bank, entry_id=entry_id))
    columns = ("source", "state", "matched", "hashes", "quarantined", "labels", "quality", "added", "changed", "stated")
    rows = table(*columns, right=("quality",))
    for entry in told.entries:
        rows.add_row(
            entry.key.source,
            _state(entry),
            "yes" if entry.matched else "no",
            _counted(entry.hash_types),
            _counted(entry.quarantined_hash_types),
            ";".join(entry.labels),
            str(entry.quality) if entry.HasField("quality") else "",
            local_time(entry.create_time),
            local_time(entry.update_time),
            local_time(entry.stated_time) if entry.HasField("stated_time") else "",
        )
    output.print(rows)
    served = f"generation {told.generation}, sequence {told.sequence:,}" if told.generation else "nothing yet"
    output.print(f"matched or not by a worker that serves {served}")


def _state(entry: banks_pb2.StoredEntry) -> str:
    state = banks_pb2.EntryState.Name(entry.state).removeprefix("ENTRY_STATE_").lower()
    return f"{state} until {local_time(entry.disabled_until)}" if entry.HasField("disabled_until") else state


def _counted(hash_types: Iterable[lookup_pb2.HashType.ValueType]) -> str:
    """Write how many there are of each type."""
    return ", ".join(f"{count} {type_name(number)}" for number, count in sorted(Counter(hash_types).items()))
