"""Plain text: one hexadecimal hash per line, all of one type. Lines that start with # are comments.

# flagged by our reviewers in May
d5c38e3b2c6a91f0
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nearhash_index.errors import InvalidInput
from nearhash_index.formats.lines import numbered_lines
from nearhash_index.formats.options import ListOptions
from nearhash_index.formats.rows import Row

__all__ = ["read_hex"]


def read_hex(path: Path, options: ListOptions) -> Iterator[Row]:
    """Yield the rows of a file of plain hashes.

    Raises
    ------
    InvalidInput
        If the hash type is not given.
    """
    if options.hash_type is None:
        raise InvalidInput("hash_type", "a file of plain hashes does not tell their type; give one")
    for place, digits in numbered_lines(path):
        yield place, digits, "", "", "", "", "", "", ""
