"""nearhash import."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from nearhash.v1 import banks_pb2
from nearhash_index.errors import InvalidInput
from nearhash_index.formats import LIST_FORMATS, ListOptions, read_list
from nearhash_index.hash_types import hash_type_named
from nearhash_index.importing import ImportReport, find_absent, import_items, refuse_rejects
from nearhash_index.store.changes import Author, Change, ChangeCounts, Remove
from nearhash_service.answering.messages import change_message
from nearhash_service.cli.author import author
from nearhash_service.cli.connection import Connection, connected
from nearhash_service.cli.printing import errors, output
from nearhash_service.cli.progress import shown_progress

__all__ = ["app"]

app = typer.Typer()

_CHANGES_PER_CALL = 5000


@app.command("import")
@connected()
def import_list(
    connection: Connection,
    bank: Annotated[str, typer.Argument(help="The bank to import into.")],
    file: Annotated[Path, typer.Argument(help="The list: a file, or a folder of pages; plain, gz or zst.")],
    hash_type: Annotated[
        str | None, typer.Option(help="Type of hashes whose line does not tell, such as phash64 or pdq256.")
    ] = None,
    list_format: Annotated[
        str | None, typer.Option("--format", help=f"{', '.join(LIST_FORMATS)}. Without it, the list's beginning tells.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Who asserts entries whose line does not tell.")] = None,
    member: Annotated[
        list[str] | None, typer.Option(help="NCMEC: import this member's records only; repeat for more.")
    ] = None,
    min_quality: Annotated[int, typer.Option(help="PDQ hashes of a lower quality are quarantined.")] = 50,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Import nothing if anything is malformed.")] = False,
    full: Annotated[
        bool,
        typer.Option("--full", help="The list is all that --source asserts: remove what is absent. Needs --data."),
    ] = False,
    max_removed_share: Annotated[
        float, typer.Option(min=0, max=1, help="With --full: refuse to remove a larger share of the source's entries.")
    ] = 0.1,
) -> None:
    """Import a hash list. Importing it again changes nothing.

    CSV columns: hash, and optionally hash_type, entry_id, source, labels (separated by semicolons), quality, action
    (upsert or remove), hasher (what computed the hash). Consecutive rows of one entry_id and source make one entry.
    What is malformed is reported with its place, and the rest imported; the exit status is then 1. What is withdrawn
    stays so.

    Example: nearhash import take-it-down list.csv.gz --dry-run --data data
    """
    options = ListOptions(
        list_format=list_format,
        hash_type=hash_type_named(hash_type, "--hash-type") if hash_type else None,
        source=source,
        members=frozenset(member or ()),
        min_quality=min_quality,
    )
    if full and (source is None or connection.registry is None):
        raise InvalidInput("--full", "needs --source, whose whole list this is, and --data")
    with shown_progress() as progress:
        if strict:
            progress.add_task("checking", total=None)
            refuse_rejects(read_list(file, options))
        task = progress.add_task("importing", total=None)
        apply = _applier(connection, bank, f"import {_printable(file.name)}", dry_run=dry_run)
        report = import_items(
            read_list(file, options), apply, lambda count: progress.advance(task, count), remember_keys=full
        )
        if full:
            assert source is not None  # noqa: S101 - checked above
            try:
                _remove_absent(connection, bank, source, apply, report, max_removed_share)
            except InvalidInput:
                _print_report(file, report, dry_run=dry_run)
                raise
    _print_report(file, report, dry_run=dry_run)
    if report.rejected:
        raise typer.Exit(1)


def _applier(
    connection: Connection, bank: str, reason: str, *, dry_run: bool
) -> Callable[[list[Change]], ChangeCounts]:
    """Return what applies changes: the registry itself where there is one, for large lists; else the server."""
    by = author(reason)
    registry = connection.registry
    if registry is not None:
        return lambda changes: registry.apply_checked(bank, changes, Author(by.actor, by.reason), dry_run=dry_run)

    def apply(changes: list[Change]) -> ChangeCounts:
        numbers: Counter[str] = Counter()
        older: list[int] = []
        sequence = 0
        with connection.banks() as banks:
            for start in range(0, len(changes), _CHANGES_PER_CALL):
                request = banks_pb2.ApplyChangesRequest(
                    bank=bank,
                    changes=map(change_message, changes[start : start + _CHANGES_PER_CALL]),
                    author=by,
                    dry_run=dry_run,
                )
                response = banks.ApplyChanges(request)
                sequence = response.sequence
                numbers.update({name: getattr(response, name) for name in ChangeCounts._fields[1:-1]})
                older += [start + position for position in response.older]
        return ChangeCounts.of(sequence, numbers, older)

    return apply


def _remove_absent(
    connection: Connection,
    bank: str,
    source: str,
    apply: Callable[[list[Change]], ChangeCounts],
    report: ImportReport,
    max_share: float,
) -> None:
    assert connection.registry is not None  # noqa: S101 - checked by the caller
    if report.rejected:
        raise InvalidInput(
            "--full", "what is rejected may be what seems absent; nothing is removed. Mend the list first"
        )
    with connection.registry.snapshot() as snapshot:
        absent = find_absent(snapshot, bank, source, report)
    if absent.share > max_share:
        raise InvalidInput(
            "--full",
            f"the list lacks {len(absent.keys):,} entries of {source}, {absent.share:.1%} of all; not removed. "
            f"If that is right, say --max-removed-share {math.ceil(absent.share * 1000) / 1000} or more",
        )
    if absent.keys:
        report.counts["removed"] += apply([Remove(key) for key in absent.keys]).removed


def _print_report(file: Path, report: ImportReport, *, dry_run: bool) -> None:
    for rejected in report.rejected:
        errors.print(f"rejected: {rejected.place}: {rejected.reason}", markup=False, soft_wrap=True)
    for item in report.quarantined:
        errors.print(f"quarantined: {item.place}: {item.reason}", markup=False, soft_wrap=True)
    for place in report.older:
        errors.print(f"older: {place}: a later state is known, and stays", markup=False, soft_wrap=True)
    kept = (("rejected", report.rejected), ("quarantined", report.quarantined), ("older", report.older))
    for outcome, shown in kept:
        if report.counts[outcome] > len(shown):
            errors.print(f"{outcome}: {report.counts[outcome] - len(shown):,} more")
    always = ("added", "updated", "removed", "unchanged")
    told = [f"{report.counts[outcome]:,} {outcome}" for outcome in always]
    seldom = ("withheld", "older", "quarantined", "rejected")
    told += [f"{report.counts[name]:,} {name}" for name in seldom if report.counts[name]]
    told += [f"{count:,} skipped ({what})" for what, count in report.skipped.items()]
    output.print(
        f"{_printable(str(file))}{', dry run' if dry_run else ''}: {', '.join(told)}", soft_wrap=True, markup=False
    )


def _printable(name: str) -> str:
    """Return a file's name, which may be no text, as the audit log takes it and a terminal shows it."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name)
