"""A list's files: a file, or a folder of pages; plain, or compressed by gzip or Zstandard, as the first bytes tell."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

import zstandard

from nearhash_index.errors import InvalidInput

__all__ = ["first_bytes", "pages_of", "read_blocks"]

_BLOCK = 1 << 18
_COMPRESSED_BLOCK = 1 << 10
"""Small, because a bomb's kilobyte becomes 32 MiB."""


class _Decompressor(Protocol):
    def decompress(self, data: bytes, /) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


def pages_of(path: Path) -> list[Path]:
    """Return the files of a list: the path itself, or the folder's files, page-2 before page-10.

    Hidden files are left out.

    Raises
    ------
    InvalidInput
        If the path is neither, or the folder holds no file, or a folder.
    """
    try:
        if path.is_file():
            return [path]
        if not path.is_dir():
            raise InvalidInput(str(path), "neither a file nor a folder; give a list, or a folder of its pages")
        pages = sorted((page for page in path.iterdir() if not page.name.startswith(".")), key=_natural)
    except (OSError, ValueError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise _unreadable(path, error) from None
    if not pages:
        raise InvalidInput(str(path), "an empty folder; give a list, or a folder of its pages")
    for page in pages:
        if not page.is_file():
            raise InvalidInput(str(page), "not a file; a folder of pages holds nothing but files")
    return pages


def first_bytes(path: Path, size: int) -> bytes:
    """Return up to `size` bytes from the beginning of the file, decompressed."""
    start = b""
    for block in read_blocks(path):
        start += block
        if len(start) >= size:
            break
    return start[:size]


def read_blocks(path: Path) -> Iterator[bytes]:
    """Yield the file's bytes, decompressed, in blocks of bounded size.

    Raises
    ------
    InvalidInput
        If the file cannot be read, or its compressed data are damaged or break off.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(4)
            file.seek(0)
            if magic[:2] == b"\x1f\x8b":
                yield from _joined(_decompressed(path, file, lambda: zlib.decompressobj(wbits=31)))
            elif magic == b"\x28\xb5\x2f\xfd":
                # Not stream_reader: it takes a file that breaks off for a whole one.
                yield from _joined(_decompressed(path, file, lambda: zstandard.ZstdDecompressor().decompressobj()))
            else:
                while block := file.read(_BLOCK):
                    yield block
    except OSError as error:
        raise _unreadable(path, error) from None
    except (zlib.error, zstandard.ZstdError):
        raise InvalidInput(str(path), "the compressed data are damaged; fetch the file again") from None


def _decompressed(path: Path, file: BinaryIO, new: Callable[[], _Decompressor]) -> Iterator[bytes]:
    decompressor = new()
    while data := file.read(_COMPRESSED_BLOCK):
        while data:
            if decompressor.eof:  # another member or frame follows
                decompressor = new()
            yield decompressor.decompress(data)
            data = decompressor.unused_data
    if not decompressor.eof:
        raise InvalidInput(str(path), "the compressed data break off; fetch the file again")


def _joined(pieces: Iterator[bytes]) -> Iterator[bytes]:
    gathered: list[bytes] = []
    size = 0
    for piece in pieces:
        gathered.append(piece)
        size += len(piece)
        if size >= _BLOCK:
            yield b"".join(gathered)
            gathered, size = [], 0
    if size:
        yield b"".join(gathered)


def _natural(page: Path) -> tuple[list[tuple[int, str]], str]:
    parts = re.findall(r"[0-9]+|[^0-9]+", page.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], page.name


def _unreadable(path: Path, error: Exception) -> InvalidInput:
    return InvalidInput(str(path), f"cannot be read: {getattr(error, 'strerror', None) or error}")
