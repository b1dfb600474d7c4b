"""nearhash lookup."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearhash_client import Allowed, Client, LookupOptions, LookupResult, Match, NearHashError
from nearhash_index.codes import hex_to_hash
from nearhash_index.errors import InvalidInput
from nearhash_index.hash_types import HASH_TYPES, HashType, hash_type_named
from nearhash_service.cli.connection import Connection, connected
from nearhash_service.cli.folders import OutputFile, Processes, TimeoutS, files_below, in_threads, work_through
from nearhash_service.cli.hashing import PHOTO_TYPES, compute
from nearhash_service.cli.printing import output, print_error, table

if TYPE_CHECKING:
    from nearhash_client.hashing import ComputedHash, HashingPool

__all__ = ["app"]

app = typer.Typer()

_TYPE_BY_DIGITS = {HASH_TYPES[name].size_bytes * 2: HASH_TYPES[name] for name in ("phash64", "md5", "sha1", "pdq256")}


@dataclass(frozen=True, slots=True)
class _Query:
    """A hash to look up, and what it was given as."""

    given: str
    hash_type: HashType
    value: bytes


@dataclass(frozen=True, slots=True)
class _Answer:
    """What was found for one hash."""

    query: _Query
    result: LookupResult
    matches: list[Match]
    unsearchable: str | None
    truncated: bool
    allowed: Allowed | None


@app.command()
@connected()
def lookup(
    connection: Connection,
    hashes_or_files: Annotated[
        list[str],
        typer.Argument(help="Hexadecimal hashes, or image files, or folders of them; for digests, any files."),
    ],
    hash_type: Annotated[
        str | None,
        typer.Option(
            help="Type of the hashes. Without it: by the number of digits, 16 phash64, 32 md5, 40 sha1, 64 pdq256; "
            "files by phash64 and pdq256."
        ),
    ] = None,
    radius: Annotated[int | None, typer.Option(help="Inclusive, in bits. A bank's own radius is the most.")] = None,
    bank: Annotated[list[str] | None, typer.Option(help="Search this bank only; repeat for more.")] = None,
    max_matches: Annotated[int, typer.Option(help="Matches per hash, nearest first; 0: the server's default.")] = 0,
    output_file: OutputFile = None,
    processes: Processes = None,
    timeout_s: TimeoutS = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per hash.")] = False,
) -> None:
    """Look up hashes, or files by their hashes, and print the entries near each.

    A file that cannot be hashed is reported, and the exit status is then 1; the others are looked up all the same.

    Example: nearhash lookup photo.jpg e64cc9d91c623882 --target 127.0.0.1:50051
    """
    named = hash_type_named(hash_type, "--hash-type") if hash_type else None
    file_types = (named.name,) if named else PHOTO_TYPES
    terms: LookupOptions = {"radius": radius, "banks": bank or (), "max_matches_per_hash": max_matches}
    with connection.client() as client:
        if output_file is not None:
            # The hashing libraries are an extra that only files need.
            from nearhash_client.hashing import HashingPool  # noqa: PLC0415

            files = _checked_files(hashes_or_files)
            with HashingPool(processes, timeout_s=timeout_s) as pool:
                record = partial(_record, client=client, pool=pool, hash_types=file_types, terms=terms)
                work_through(files, lambda paths: in_threads(record, paths, pool.processes), output_file)
            return
        queries, failed = _queries(hashes_or_files, named, file_types)
        answers = _look_up(queries, client, terms)
    if as_json:
        for answer in answers:
            typer.echo(json.dumps({"query": answer.query.given, **_json(answer)}))
    elif answers:
        _print_table(answers)
    if failed:
        raise typer.Exit(1)


def _record(
    path: Path, client: Client, pool: HashingPool, hash_types: tuple[str, ...], terms: LookupOptions
) -> dict[str, Any]:
    """Return what is written of a file."""
    queries = [_query(str(path), item) for item in pool.compute(path, hash_types)]
    return {"hashes": [_json(answer) for answer in _look_up(queries, client, terms, pool.timeout_s)]}


def _checked_files(given: list[str]) -> list[Path]:
    for name in given:
        if not Path(name).exists():
            raise InvalidInput("argument", f"{name!r} is no file; --output is for files and folders")
    return [Path(name) for name in given]


def _queries(given: list[str], named: HashType | None, file_types: tuple[str, ...]) -> tuple[list[_Query], bool]:
    """Return the hashes that the arguments stand for, and whether some files have none; these are reported."""
    queries: list[_Query] = []
    failed = False
    for argument in given:
        if not Path(argument).exists():
            queries.append(_written_query(argument, named))
            continue
        for file in files_below([Path(argument)]):
            try:
                queries += [_query(str(file), item) for item in compute(file, file_types)]
            except (NearHashError, OSError) as error:
                print_error(error)
                failed = True
    return queries, failed


def _query(given: str, item: ComputedHash) -> _Query:
    return _Query(given, HASH_TYPES[item.hash_type], item.value)


def _written_query(digits: str, named: HashType | None) -> _Query:
    hash_type = named or _TYPE_BY_DIGITS.get(len(digits))
    if hash_type is None:
        raise InvalidInput("argument", f"{digits!r} is neither a file nor a hash of 16, 32, 40 or 64 digits")
    return _Query(digits, hash_type, hex_to_hash(digits, hash_type, f"argument {digits!r}"))


def _look_up(
    queries: Iterable[_Query], client: Client, terms: LookupOptions, timeout_s: float | None = None
) -> list[_Answer]:
    """Look up each type's hashes together; the answers are by type."""
    by_type: dict[HashType, list[_Query]] = {}
    for query in queries:
        by_type.setdefault(query.hash_type, []).append(query)
    answers: list[_Answer] = []
    for hash_type, batch in by_type.items():
        values = [query.value for query in batch]
        options: LookupOptions = {**terms, "hash_type": hash_type.name}
        found = client.lookup(values, timeout_s=timeout_s, **options)
        answers += _answers(batch, found)
    return answers


def _answers(batch: list[_Query], result: LookupResult) -> Iterator[_Answer]:
    matches = result.by_query()
    reasons = {item.query: item.reason for item in result.unsearchable}
    truncated = set(result.truncated)
    allowed = {item.query: item for item in result.allowed}
    for i, query in enumerate(batch):
        yield _Answer(query, result, matches.get(i, []), reasons.get(i), i in truncated, allowed.get(i))


def _json(answer: _Answer) -> dict[str, object]:
    return {
        "hash_type": answer.query.hash_type.name,
        "hash": answer.query.value.hex(),
        "generation": answer.result.generation,
        "sequence": answer.result.sequence,
        "unsearchable": answer.unsearchable,
        "truncated": answer.truncated,
        "allowed": None
        if answer.allowed is None
        else {"bank": answer.allowed.bank, "entry_id": answer.allowed.entry_id},
        "matches": [
            {
                "distance": match.distance,
                "bank": match.bank,
                "entry_id": match.entry_id,
                "source": match.source,
                "labels": match.labels,
            }
            for match in answer.matches
        ],
    }


def _print_table(answers: list[_Answer]) -> None:
    rows = table("query", "hash_type", "distance", "bank", "entry_id", "source", "labels", "note", right=("distance",))
    for answer in answers:
        query = (answer.query.given, answer.query.hash_type.name)
        for match in answer.matches:
            rows.add_row(
                *query, str(match.distance), match.bank, match.entry_id, match.source, ";".join(match.labels), ""
            )
        if answer.unsearchable:
            rows.add_row(*query, *[""] * 5, "not searched")
        elif answer.allowed:
            rows.add_row(*query, *[""] * 5, f"allowed: {answer.allowed.entry_id} in {answer.allowed.bank}")
        elif not answer.matches:
            rows.add_row(*query, *[""] * 5, "no match")
        elif answer.truncated:
            rows.add_row(*query, *[""] * 5, "there are more; ask for them with --max-matches")
    output.print(rows)
    for reason in {answer.unsearchable: None for answer in answers if answer.unsearchable}:
        output.print(f"not searched: {reason}", soft_wrap=True)
