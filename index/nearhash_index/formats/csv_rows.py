"""CSV and TSV with a header: any of these columns, in any order and case.

    hash,hash_type,entry_id,source,labels,quality,action,hasher
    d5c3…,pdq256,case-17,local,video;minor,98,upsert,pdqhash 0.2.8

`labels` are separated by semicolons; `quality` is 0 to 100; `action` is `upsert` (also if empty) or `remove`,
which removes the whole entry that the row names, or the one that the hash itself names; `hasher` tells what computed
the hash, with version, and becomes a label of the entry.
"""

from __future__ import annotations

import csv
from collections.abc import Generator, Iterator
from operator import itemgetter
from pathlib import Path
from typing import TypeAlias

from nearhash_index.errors import InvalidInput
from nearhash_index.formats.items import Rejected, without_hashes
from nearhash_index.formats.lines import read_lines
from nearhash_index.formats.options import ListOptions
from nearhash_index.formats.rows import FIELDS, Row

__all__ = ["is_header", "read_csv", "read_tsv"]

_Record: TypeAlias = tuple[int, list[str] | None]
"""A record's first line, from 1, and its fields; None if it is malformed."""

_NOT_CSV = "not CSV: a quote is open, or text follows a closing one; double the quotes inside a quoted field"


def is_header(line: str, delimiter: str) -> bool:
    """Tell whether the first line of a file looks like the header of a list."""
    names = _names(next(csv.reader([line], delimiter=delimiter), []))
    return "hash" in names or (bool(names) and set(names) <= set(FIELDS))


def read_csv(path: Path, options: ListOptions) -> Iterator[Row | Rejected]:
    """Yield the rows of a CSV file. Empty lines are left out.

    Raises
    ------
    InvalidInput
        If the header does not name the columns.
    """
    return _read(path, options, ",")


def read_tsv(path: Path, options: ListOptions) -> Iterator[Row | Rejected]:
    """Yield the rows of a file like CSV with tabs in the place of commas; see `read_csv`."""
    return _read(path, options, "\t")


def _read(path: Path, options: ListOptions, delimiter: str) -> Iterator[Row | Rejected]:
    records = _records(path, delimiter)
    _, header = next(records, (1, None))
    names = _check_header(header, options, f"{path}, line 1")
    # A place and an empty text follow each row's own fields; the latter stands for the columns that are missing.
    width = len(names)
    pick = itemgetter(width, *(names.index(name) if name in names else width + 1 for name in FIELDS))
    in_file = f"{path.name}, line "
    for line, fields in records:
        if fields is None:
            yield Rejected(f"{in_file}{line}", _NOT_CSV)
        elif len(fields) == width:
            yield pick([*fields, f"{in_file}{line}", ""])
        elif any(map(str.strip, fields)):
            yield Rejected(f"{in_file}{line}", f"{len(fields)} fields; the header has {width}")


def _records(path: Path, delimiter: str) -> Iterator[_Record]:
    """Yield the records of a file. A quote that is never closed spoils its own line: reading goes on at the next."""
    before = 0  # lines before those at hand
    lines: list[str] = []
    for more in read_lines(path):
        lines += [line + "\n" for line in more]
        done = yield from _records_of(lines, before, delimiter, ended=False)
        before += done
        del lines[:done]
    yield from _records_of(lines, before, delimiter, ended=True)


def _records_of(lines: list[str], before: int, delimiter: str, *, ended: bool) -> Generator[_Record, None, int]:
    """Yield the records of these lines; return how many lines they took, less a record that may go on."""
    done = 0
    while done < len(lines):
        start = done
        reader = csv.reader(lines[start:], delimiter=delimiter, strict=True, skipinitialspace=True)
        try:
            for fields in reader:
                yield before + done + 1, fields
                done = start + reader.line_num
        except csv.Error:
            if start + reader.line_num == len(lines) and not ended:
                break
            yield before + done + 1, None
            done += 1
    return done


def _check_header(header: list[str] | None, options: ListOptions, place: str) -> list[str]:
    names = _names(header or [])
    known = f"the columns are {', '.join(FIELDS)}"
    for name in names:
        if name not in FIELDS:
            raise InvalidInput(place, without_hashes(f"unknown column {name[:80]!r}; {known}"))
        if names.count(name) > 1:
            raise InvalidInput(place, f"column {name!r} appears twice")
    if "hash" not in names and not {"entry_id", "action"} <= set(names):
        raise InvalidInput(place, f"no column 'hash'; {known}")
    if "hash" in names and "hash_type" not in names and options.hash_type is None:
        raise InvalidInput(place, "no column 'hash_type'; add it, or give a hash type for the whole list")
    return names


def _names(header: list[str]) -> list[str]:
    return [name.strip().lower() for name in header]
