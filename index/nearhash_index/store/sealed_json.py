"""Small JSON files that say what they are, in which version, and carry their own checksum.

    {"magic": "nearhash ...", "version": 1, ..., "xxh3_64": "of the rest, written compactly with sorted keys"}

They open in one of four ways: right, not ours, another version, or corrupt.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import xxhash

from nearhash_index.errors import CorruptData, NotADataDirectory, WrongVersion

__all__ = ["read_sealed", "seal"]

_CHECKSUM = "xxh3_64"


def seal(magic: str, version: int, content: dict[str, Any]) -> bytes:
    """Return the bytes of the file."""
    sealed = {"magic": magic, "version": version, **content}
    return (json.dumps({**sealed, _CHECKSUM: _checksum(sealed)}, indent=1) + "\n").encode()


def read_sealed(path: Path, magic: str, version: int) -> dict[str, Any]:
    """Return the content.

    Raises
    ------
    NotADataDirectory
        If the file is missing, no file, no JSON object, or carries another magic.
    WrongVersion
        If it is of another version.
    CorruptData
        If it differs by a bit from what was written.
    """
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise NotADataDirectory(f"{path} is missing, so {path.parent} is not a {magic}") from None
    except IsADirectoryError:
        raise NotADataDirectory(f"{path} is not a file, so {path.parent} is not a {magic}") from None
    return _opened(path, raw, magic, version)


# Those of a few generations are read over and over, and to take one apart holds others up for half a millisecond.
@lru_cache(maxsize=4)
def _opened(path: Path, raw: bytes, magic: str, version: int) -> dict[str, Any]:
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError):
        if magic.encode() in raw:
            raise CorruptData(f"{path} is damaged: it is not valid JSON") from None
        content = None
    if not isinstance(content, dict) or content.get("magic") != magic:
        raise NotADataDirectory(f"{path} is not the description of a {magic}")
    if content.get("version") != version:
        raise WrongVersion(
            f"{path} is of version {content.get('version')}; this release reads version {version} of a {magic}"
        )
    content.pop(_CHECKSUM, None)
    # Written again, it must be the same to the byte: JSON could say the same in other ways.
    if raw != seal(magic, version, content):
        raise CorruptData(f"{path} is damaged: its checksum does not fit its content")
    return content


def _checksum(content: dict[str, Any]) -> str:
    return xxhash.xxh3_64_hexdigest(json.dumps(content, sort_keys=True, separators=(",", ":")).encode())
