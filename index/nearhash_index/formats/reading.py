"""From a list file to entries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, groupby, islice
from pathlib import Path

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
    with _errors_name(path):
        for _, entry, named in _grouped(_refusing_degenerate(_rows(path, hash_type))):
            count += 1
            if named:
                names.append(_fingerprint(entry.key))
        values, counts = np.unique(np.array(names, dtype=np.uint64), return_counts=True)
        if len(values) < len(names):
            _check_together(_grouped(_rows(path, hash_type)), set(values[counts > 1].tolist()))
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
    with _errors_name(path):
        for _, entry, _ in _grouped(_rows(path, hash_type)):
            yield entry


def _rows(path: Path, hash_type: HashType | None) -> Iterator[Row]:
    # utf-8-sig: spreadsheets begin their CSV files with a byte order mark.
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        has_header = "hash" in (field.strip().strip('"').lower() for field in first.split(","))
        lines = chain([first], file)
        yield from read_csv(lines, hash_type) if has_header else read_hex(lines, hash_type)


def _refusing_degenerate(rows: Iterator[Row]) -> Iterator[Row]:
    while chunk := list(islice(rows, _CHUNK)):
        check_degenerate((f"line {row.line}, hash", item) for row in chunk for item in row.entry.hashes)
        yield from chunk


def _grouped(rows: Iterator[Row]) -> Iterator[tuple[int, Entry, bool]]:
    """Yield each entry with its first line, and whether the list names it."""
    for _, group in groupby(rows, key=lambda row: row.entry.key):
        first, *more = group
        entry = first.entry
        for row in more:
            entry = _merged(row.line, entry, row.entry)
        yield first.line, entry, first.named


def _merged(line: int, entry: Entry, more: Entry) -> Entry:
    try:
        return check_entry(Entry(entry.key, entry.hashes + more.hashes, entry.labels + more.labels))
    except InvalidInput as error:
        raise InvalidInput(f"line {line}", error.problem) from None


def _check_together(entries: Iterator[tuple[int, Entry, bool]], repeated: set[int]) -> None:
    """Refuse entries that are named in two places. `repeated` holds their fingerprints, and perhaps another's."""
    seen: dict[EntryKey, int] = {}
    for line, entry, named in entries:
        if named and _fingerprint(entry.key) in repeated:
            if entry.key in seen:
                raise InvalidInput(
                    f"line {line}, entry_id",
                    f"{entry.key.entry_id!r} was named on line {seen[entry.key]} already; "
                    "put the rows of one entry next to each other",
                )
            seen[entry.key] = line


def _fingerprint(key: EntryKey) -> int:
    return xxhash.xxh3_64_intdigest(f"{key.source}\0{key.entry_id}".encode())


@contextmanager
def _errors_name(path: Path) -> Iterator[None]:
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(f"{path}, {error.field}", error.problem) from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{path}", "not a text file: it is not UTF-8") from None
    except OSError as error:
        raise InvalidInput(f"{path}", f"cannot be read: {error.strerror}") from None
