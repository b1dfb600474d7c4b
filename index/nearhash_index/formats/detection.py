"""Telling a list's format from its first bytes."""

from __future__ import annotations

from pathlib import Path

from nearhash_index.errors import InvalidInput
from nearhash_index.formats.csv_rows import is_header
from nearhash_index.formats.files import first_bytes
from nearhash_index.formats.options import LIST_FORMATS
from nearhash_index.formats.threatexchange import is_signal

__all__ = ["detected_format"]

_HEAD_BYTES = 1 << 16
_HEX = frozenset("0123456789abcdefABCDEF")
_SHORTEST_HASH = 16


def detected_format(path: Path) -> str:
    """Return the name of the file's format.

    Raises
    ------
    InvalidInput
        If it is empty, or of no known format.
    """
    head = first_bytes(path, _HEAD_BYTES)
    text = head.decode(errors="replace").removeprefix("\ufeff").strip()
    if not text:
        raise InvalidInput(str(path), "empty; if the list is to be empty, say its format")
    if b"\0" in head:
        raise InvalidInput(str(path), "not a text file: it holds zero bytes; save it as UTF-8 text")
    if text.startswith("<"):
        return "ncmec"
    if text.startswith("{"):
        return "stopncii" if '"hashRecords"' in text else "jsonl"
    lines = text.splitlines()
    if is_header(lines[0], "\t"):
        return "tsv"
    if is_header(lines[0], ","):
        return "csv"
    if any(map(is_signal, lines)):
        return "threatexchange"
    if any(len(line.strip()) >= _SHORTEST_HASH and _HEX.issuperset(line.strip()) for line in lines):
        return "hex"
    raise InvalidInput(
        str(path),
        f"no known list: no header with a column 'hash', XML, JSON or hash; use one of {', '.join(LIST_FORMATS)}",
    )
