"""nearhash match."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from nearhash_client.errors import NearHashError
from nearhash_service.cli.connection import Connection, connected
from nearhash_service.cli.folders import OF_EVERY_FILE, OutputFile, Processes, files_below, in_threads, work_through
from nearhash_service.cli.printing import errors, output, print_error, table

if TYPE_CHECKING:
    from nearhash_client.matching import ImageVerdict

__all__ = ["app"]

app = typer.Typer()


@app.command()
@connected()
def match(
    connection: Connection,
    files: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    bank: Annotated[list[str] | None, typer.Option(help="Search this bank only; repeat for more.")] = None,
    output_file: OutputFile = None,
    processes: Processes = None,
    timeout_s: Annotated[float, typer.Option(help="Seconds for one file.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per file.")] = False,
) -> None:
    """Say what each bank's matches of an image call for: block, review or observe, and why.

    Looked up are the file's digests, its PDQ hash and its pHash, turned, mirrored and without bars, too. What could not
    be looked up is told, and the exit status is then 1. An error that every file would meet ends it.

    Example: nearhash match upload.jpg --target 127.0.0.1:50051
    """
    # The hashing libraries are an extra that only these commands need.
    from nearhash_client.hashing import HashingPool  # noqa: PLC0415
    from nearhash_client.matching import match_image  # noqa: PLC0415

    with connection.client() as client, HashingPool(processes, timeout_s=timeout_s) as pool:

        def verdict_on(path: Path) -> ImageVerdict:
            verdict = match_image(path, client=client, banks=bank or (), timeout_s=timeout_s, pool=pool)
            _raise_what_stops(verdict)
            return verdict

        def record(path: Path) -> dict[str, Any]:
            verdict = verdict_on(path)
            if verdict.failures:
                # To be tried again.
                first = verdict.failures[0]
                raise NearHashError(f"{path}: not looked up: {first.hash_type}: {first.error}")
            return verdict.to_dict()

        if output_file is not None:
            work_through(files, lambda paths: in_threads(record, paths, pool.processes), output_file)
            return
        failed = False
        rows = table("file", "action", "bank", "entry_id", "source", "by", "distance", right=("distance",))
        try:
            for path in files_below(files):
                try:
                    verdict = verdict_on(path)
                except OF_EVERY_FILE:
                    raise
                except (NearHashError, OSError) as error:
                    print_error(error)
                    failed = True
                    continue
                failed |= not verdict.complete
                if as_json:
                    typer.echo(orjson.dumps({"file": str(path), **verdict.to_dict()}))
                else:
                    for row in _rows(verdict):
                        rows.add_row(str(path), *row)
                    for failure in verdict.failures:
                        errors.print(f"not looked up: {failure.hash_type}: {failure.error}", soft_wrap=True)
        finally:
            if rows.row_count:
                output.print(rows)
    if failed:
        raise typer.Exit(1)


def _raise_what_stops(verdict: ImageVerdict) -> None:
    """Raise what no other file would fare better with."""
    for failure in verdict.failures:
        for kind in OF_EVERY_FILE:
            if failure.kind == kind.__name__:
                raise kind(failure.error)


def _rows(verdict: ImageVerdict) -> Iterator[tuple[str, ...]]:
    """Yield the nearest reason of each entry."""
    for allowed in verdict.allowed:
        yield "allowed", allowed.bank, allowed.entry_id, allowed.source, allowed.hash_type, ""
    for of_bank in verdict.banks:
        seen = set()
        for reason in of_bank.reasons:
            entry = (reason.entry_id, reason.source)
            if entry not in seen:
                by = " ".join([reason.hash_type, *([reason.form] if reason.form != "original" else [])])
                yield str(reason.action), reason.bank, *entry, by, str(reason.distance)
            seen.add(entry)
    if not verdict.banks and not verdict.allowed:
        told = "nothing searched" if verdict.not_searched and not verdict.complete else "no match"
        yield told, "", "", "", "", ""
