"""From a list file to entries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TextIO

import numpy as np
import xxhash

from nearhash_index.entries import Entry, EntryKey, check_degenerate, check_entry
from nearhash_index.errors import InvalidInput
from nearhash_index.formats.csv_rows import read_csv
from nearhash_index.formats.hex_rows import read_hex
from nearhash_index.formats.rows import Row
from nearhash_index.hash_types import HashType

__all__ = ["check_file", "read_entries"]

_CHUNK = 10_000


def check_file(path: Path, hash_type: HashType | None) -> int:
    """Read the whole list and return its number of entries, so that an import can start knowing that it will end.

    O(rows) time; 8 bytes of memory per row that names its entry.

    Raises
    ------
    InvalidInput
        Naming the line of the first row that is malformed or degenerate, or that names an entry which earlier rows,
        not just before it, named already: entries that are apart would replace each other.
    """
    count = 0
    names = []
    chunk: list[tuple[str, Entry]] = []
    for line, entry, named in _numbered_entries(path, hash_type):
        count += 1
        chunk.append((f"line {line}, hash", entry))
        if named:
            names.append(_fingerprint(entry.key))
        if len(chunk) == _CHUNK:
            _check_chunk(path, chunk)
            chunk = []
    _check_chunk(path, chunk)
    _check_together(path, hash_type, np.array(names, dtype=np.uint64))
    return count


def read_entries(path: Path, hash_type: HashType | None) -> Iterator[Entry]:
    """Yield a list's entries: CSV if the first line names a column `hash`, else plain hashes. Memory is bounded.

    Consecutive rows that name one entry become one entry with several hashes.

    Parameters
    ----------
    hash_type : HashType, optional
        Of rows that do not tell their own.

    Raises
    ------
    InvalidInput
        Naming file, line and column.
    """
    for _, entry, _ in _numbered_entries(path, hash_type):
        yield entry


def _numbered_entries(path: Path, hash_type: HashType | None) -> Iterator[tuple[int, Entry, bool]]:
    """Yield each entry with its first line, and whether the list names it."""
    pending: Row | None = None
    try:
        for row in _rows(path, hash_type):
            if pending and pending.named and row.named and row.entry.key == pending.entry.key:
                pending = replace(pending, entry=_merged(row.line, pending.entry, row.entry))
                continue
            if pending:
                yield pending.line, pending.entry, pending.named
            pending = row
    except InvalidInput as error:
        raise InvalidInput(f"{path}, {error.field}", error.problem) from None
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path}", f"not a text file: byte {error.start} of a line is not UTF-8") from None
    except OSError as error:
        raise InvalidInput(f"{path}", f"cannot be read: {error.strerror}") from None
    if pending:
        yield pending.line, pending.entry, pending.named


def _rows(path: Path, hash_type: HashType | None) -> Iterator[Row]:
    # utf-8-sig: spreadsheets begin their CSV files with a byte order mark.
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        lines: TextIO = chain([first], file)  # type: ignore[assignment]
        has_header = "hash" in (field.strip().lower() for field in first.split(","))
        yield from read_csv(lines, hash_type) if has_header else read_hex(lines, hash_type)


def _merged(line: int, entry: Entry, more: Entry) -> Entry:
    merged = replace(entry, hashes=entry.hashes + more.hashes, labels=entry.labels + more.labels)
    try:
        return check_entry(merged, "entry")
    except InvalidInput as error:
        raise InvalidInput(f"line {line}", error.problem) from None


def _check_chunk(path: Path, chunk: list[tuple[str, Entry]]) -> None:
    try:
        check_degenerate((field, item) for field, entry in chunk for item in entry.hashes)
    except InvalidInput as error:
        raise InvalidInput(f"{path}, {error.field}", error.problem) from None


def _check_together(path: Path, hash_type: HashType | None, names: np.typing.NDArray[np.uint64]) -> None:
    values, counts = np.unique(names, return_counts=True)
    repeated = set(values[counts > 1].tolist())
    if not repeated:
        return
    seen: dict[EntryKey, int] = {}
    for line, entry, named in _numbered_entries(path, hash_type):
        if named and _fingerprint(entry.key) in repeated:
            if entry.key in seen:
                raise InvalidInput(
                    f"{path}, line {line}, entry_id",
                    f"{entry.key.entry_id!r} was named on line {seen[entry.key]} already; "
                    "put the rows of one entry next to each other",
                )
            seen[entry.key] = line


def _fingerprint(key: EntryKey) -> int:
    return xxhash.xxh3_64_intdigest(f"{key.source}\0{key.entry_id}")
