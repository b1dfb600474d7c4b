"""CSV with a header: hash, and optionally hash_type, entry_id, source, labels (separated by semicolons)."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator

from nearhash_index.errors import InvalidInput
from nearhash_index.formats.rows import Row, parse_row
from nearhash_index.hash_types import HashType, hash_type_named

__all__ = ["COLUMNS", "read_csv"]

COLUMNS = ("hash", "hash_type", "entry_id", "source", "labels")


def read_csv(lines: Iterable[str], default_type: HashType | None) -> Iterator[Row]:
    """Yield the rows of a CSV file, from its lines with their ends. Empty lines are skipped.

    Parameters
    ----------
    default_type : HashType, optional
        Of rows without a hash type.

    Raises
    ------
    InvalidInput
        At the first row that is malformed.
    """
    reader = csv.reader(lines, strict=True)
    try:
        header = _check_header(next(reader))
        for fields in reader:
            if fields:
                yield _row(reader.line_num, header, fields, default_type)
    except csv.Error as error:
        raise InvalidInput(f"line {reader.line_num}", f"not CSV: {error}") from None


def _check_header(fields: list[str]) -> list[str]:
    header = [field.strip().lower() for field in fields]
    for name in header:
        if name not in COLUMNS:
            raise InvalidInput("line 1", f"unknown column {name!r}; the columns are {', '.join(COLUMNS)}")
        if header.count(name) > 1:
            raise InvalidInput("line 1", f"column {name!r} appears twice")
    return header


def _row(line: int, header: list[str], fields: list[str], default_type: HashType | None) -> Row:
    if len(fields) != len(header):
        raise InvalidInput(f"line {line}", f"{len(fields)} fields; the header has {len(header)}")
    values = {name: value.strip() for name, value in zip(header, fields, strict=True)}
    type_name = values.get("hash_type")
    hash_type = hash_type_named(type_name, f"line {line}, hash_type") if type_name else default_type
    if hash_type is None:
        raise InvalidInput(f"line {line}, hash_type", "empty; fill it in, or give a hash type for the whole file")
    labels = values.get("labels", "")
    return parse_row(
        line,
        values["hash"],
        hash_type,
        entry_id=values.get("entry_id", ""),
        source=values.get("source", ""),
        labels=tuple(label.strip() for label in labels.split(";") if label.strip()),
    )
