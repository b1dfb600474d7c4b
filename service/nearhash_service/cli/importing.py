"""nearhash import."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from nearhash.v1 import banks_pb2
from nearhash_index.entries import Entry
from nearhash_index.formats import check_file, read_entries
from nearhash_index.hash_types import hash_type_named
from nearhash_index.store.changes import Upsert
from nearhash_service.cli.author import author
from nearhash_service.cli.connection import Connection, connected
from nearhash_service.cli.printing import errors, output
from nearhash_service.messages import change_message

__all__ = ["import_list"]

_CHANGES_PER_CALL = 5000


@connected()
def import_list(
    connection: Connection,
    bank: Annotated[str, typer.Argument(help="The bank to import into.")],
    file: Annotated[Path, typer.Argument(help="CSV with a header that names a column 'hash', or one hash per line.")],
    hash_type: Annotated[
        str | None, typer.Option(help="Type of hashes whose line does not tell, such as phash64 or pdq256.")
    ] = None,
) -> None:
    """Import a hash list. It is checked whole before anything changes; importing it again changes nothing.

    CSV columns: hash, and optionally hash_type, entry_id, source, labels (separated by semicolons). Consecutive rows of
    one entry_id and source make one entry. What is imported is matched from the next publish on.

    Example: nearhash import take-it-down list.csv --data data
    """
    default_type = hash_type_named(hash_type, "--hash-type") if hash_type else None
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    ) as progress:
        task = progress.add_task("checking", total=None)
        progress.update(task, total=check_file(file, default_type), description="importing")
        counts: Counter[str] = Counter()
        with connection.banks() as banks:
            for request in _requests(bank, file, read_entries(file, default_type)):
                response = banks.ApplyChanges(request)
                progress.advance(task, len(request.changes))
                for outcome in ("added", "updated", "unchanged"):
                    counts[outcome] += getattr(response, outcome)
    told = ", ".join(f"{counts[outcome]:,} {outcome}" for outcome in ("added", "updated", "unchanged"))
    output.print(f"{file}: {told}")


def _requests(bank: str, file: Path, entries: Iterator[Entry]) -> Iterator[banks_pb2.ApplyChangesRequest]:
    while chunk := list(islice(entries, _CHANGES_PER_CALL)):
        changes = [change_message(Upsert(entry)) for entry in chunk]
        yield banks_pb2.ApplyChangesRequest(bank=bank, changes=changes, author=author(f"import {file.name}"))
