"""Where the bytes of an image file come from."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .errors import ImageTooLarge, NotAnImage

Source = str | os.PathLike[str] | bytes | BinaryIO

_CHUNK_BYTES = 1024 * 1024


@contextmanager
def opened(source: Source) -> Iterator[tuple[BinaryIO, str]]:
    """Yield a binary file and its name for messages. A file of the caller's stays open.

    Raises
    ------
    NotAnImage
        If the source is a directory or none of the kinds taken.
    OSError
        If the file cannot be opened.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        yield io.BytesIO(source), "<bytes>"
    elif isinstance(source, str | os.PathLike):
        path = Path(source)
        if path.is_dir():
            raise NotAnImage(f"{path}: a directory; pass one image file")
        with path.open("rb") as file:
            yield file, str(path)
    elif hasattr(source, "read"):
        yield source, str(getattr(source, "name", "<file>"))
    else:
        raise NotAnImage(f"<{type(source).__name__}>: pass a path, bytes, a binary file or a PIL.Image.Image")


def read_chunks(file: BinaryIO, file_name: str) -> Iterator[bytes]:
    """Yield the file's bytes from its position to its end.

    Raises
    ------
    NotAnImage
        If there are none, or text.
    """
    chunk = file.read(_CHUNK_BYTES)
    if isinstance(chunk, str):
        raise NotAnImage(f"{file_name}: opened as text; open it with mode 'rb'")
    if not chunk:
        raise NotAnImage(f"{file_name}: empty; pass a file with content, at its beginning")
    while chunk:
        yield chunk
        chunk = file.read(_CHUNK_BYTES)


def read_all(file: BinaryIO, file_name: str, max_bytes: int) -> bytes:
    """Return the file's bytes, reading little more than `max_bytes`.

    Raises
    ------
    ImageTooLarge
        If there are more than `max_bytes`.
    NotAnImage
        If there are none, or text.
    """
    data = bytearray()
    for chunk in read_chunks(file, file_name):
        data += chunk
        if len(data) > max_bytes:
            raise ImageTooLarge(f"{file_name}: larger than max_bytes = {max_bytes}, the most that is decoded")
    return bytes(data)
