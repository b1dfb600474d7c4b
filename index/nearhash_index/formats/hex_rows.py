"""Plain text: one hexadecimal hash per line. Empty lines, and lines that start with #, are skipped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nearhash_index.errors import InvalidInput
from nearhash_index.formats.rows import Row, parse_row
from nearhash_index.hash_types import HashType

__all__ = ["read_hex"]


def read_hex(lines: Iterable[str], hash_type: HashType | None) -> Iterator[Row]:
    """Yield the rows of a file of plain hashes.

    Raises
    ------
    InvalidInput
        If the hash type is not given, or at the first line that is malformed.
    """
    if hash_type is None:
        raise InvalidInput("hash_type", "a file of plain hashes does not tell their type; give one")
    for line, text in enumerate(lines, start=1):
        digits = text.strip()
        if digits and not digits.startswith("#"):
            yield parse_row(line, digits, hash_type)
