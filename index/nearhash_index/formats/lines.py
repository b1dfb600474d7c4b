"""The lines of text lists."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from nearhash_index.errors import InvalidInput
from nearhash_index.formats.files import read_blocks

__all__ = ["numbered_lines", "read_lines"]

_BOM = b"\xef\xbb\xbf"
_MAX_LINE_BYTES = 1 << 20


def read_lines(path: Path) -> Iterator[list[str]]:
    r"""Yield the file's lines, many at a time, without the `\n` of their ends.

    A byte that is not UTF-8 becomes a lone surrogate, which no field may hold: it spoils its line, not the list.

    Raises
    ------
    InvalidInput
        If the file is not text.
    """
    rest = b""
    first = True
    for block in read_blocks(path):
        if first:
            block = block.removeprefix(_BOM)  # noqa: PLW2901 - spreadsheets begin their files with a byte order mark
            first = False
        if b"\0" in block:
            raise InvalidInput(str(path), "not a text file: it holds zero bytes; save it as UTF-8 text")
        whole, end, tail = block.rpartition(b"\n")
        if end:
            yield _decoded(rest + whole).split("\n")
            rest = tail
        else:
            rest += tail
        if len(rest) > _MAX_LINE_BYTES:
            raise InvalidInput(str(path), f"not a list: a line is longer than {_MAX_LINE_BYTES:,} bytes")
    if rest:
        yield [_decoded(rest)]


def numbered_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each line with its place, but empty lines, and those that start with #."""
    lines = chain.from_iterable(read_lines(path))
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text and not text.startswith("#"):
            yield f"{path.name}, line {number}", text


def _decoded(text: bytes) -> str:
    return text.decode(errors="surrogateescape")
