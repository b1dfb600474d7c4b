"""nearhash lookup."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from nearhash_client import Allowed, LookupResult, Match
from nearhash_index.codes import hex_to_hash
from nearhash_index.errors import InvalidInput
from nearhash_index.hash_types import HASH_TYPES, HashType, hash_type_named
from nearhash_service.cli.connection import Connection, connected
from nearhash_service.cli.hashing import PHOTO_TYPES, compute
from nearhash_service.cli.printing import output, table

__all__ = ["lookup"]

_TYPE_BY_DIGITS = {HASH_TYPES[name].size_bytes * 2: HASH_TYPES[name] for name in ("phash64", "md5", "sha1", "pdq256")}


@dataclass(frozen=True, slots=True)
class _Query:
    """A hash to look up, and what it was given as."""

    given: str
    value: bytes


@dataclass(frozen=True, slots=True)
class _Answer:
    """What was found for one hash."""

    query: _Query
    hash_type: HashType
    result: LookupResult
    matches: list[Match]
    unsearchable: str | None
    truncated: bool
    allowed: Allowed | None


@connected()
def lookup(
    connection: Connection,
    hashes_or_files: Annotated[list[str], typer.Argument(help="Hexadecimal hashes, or files.")],
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
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per hash.")] = False,
) -> None:
    """Look up hashes, or files by their hashes, and print the entries near each.

    Example: nearhash lookup photo.jpg e64cc9d91c623882 --target 127.0.0.1:50051
    """
    named = hash_type_named(hash_type, "--hash-type") if hash_type else None
    queries: dict[HashType, list[_Query]] = {}
    for given in hashes_or_files:
        for of_type, query in _queries(given, named):
            queries.setdefault(of_type, []).append(query)
    answers: list[_Answer] = []
    with connection.client() as client:
        for of_type, batch in queries.items():
            result = client.lookup(
                [query.value for query in batch],
                hash_type=of_type.name,
                radius=radius,
                banks=bank or (),
                max_matches_per_hash=max_matches,
            )
            answers += _answers(of_type, batch, result)
    if as_json:
        for answer in answers:
            typer.echo(json.dumps(_json(answer)))
    else:
        _print_table(answers)


def _queries(given: str, named: HashType | None) -> Iterator[tuple[HashType, _Query]]:
    """Yield the hashes that an argument stands for."""
    path = Path(given)
    if path.exists():
        for item in compute(path, (named.name,) if named else PHOTO_TYPES):
            yield HASH_TYPES[item.hash_type], _Query(given, item.value)
        return
    hash_type = named or _TYPE_BY_DIGITS.get(len(given))
    if hash_type is None:
        raise InvalidInput("argument", f"{given!r} is neither a file nor a hash of 16, 32, 40 or 64 digits")
    yield hash_type, _Query(given, hex_to_hash(given, hash_type, f"argument {given!r}"))


def _answers(hash_type: HashType, batch: list[_Query], result: LookupResult) -> Iterator[_Answer]:
    matches = result.by_query()
    reasons = {item.query: item.reason for item in result.unsearchable}
    allowed = {item.query: item for item in result.allowed}
    for i, query in enumerate(batch):
        yield _Answer(
            query, hash_type, result, matches.get(i, []), reasons.get(i), i in result.truncated, allowed.get(i)
        )


def _json(answer: _Answer) -> dict[str, object]:
    return {
        "query": answer.query.given,
        "hash_type": answer.hash_type.name,
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
        query = (answer.query.given, answer.hash_type.name)
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
