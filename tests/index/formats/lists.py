"""Writing lists and reading them back, and hashes to put into them."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import TypeVar

import zstandard

from nearhash_index.formats import Item, ListOptions, Upsert, read_list
from nearhash_index.hash_types import HASH_TYPES

T = TypeVar("T")

COMPRESSIONS = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}


def digits(seed: object, hash_type: str) -> str:
    """Return a hash in hexadecimal that looks like any other."""
    return hashlib.sha512(repr(seed).encode()).hexdigest()[: HASH_TYPES[hash_type].size_bytes * 2]


def pdq(seed: object) -> str:
    return digits(seed, "pdq256")


def md5(seed: object) -> str:
    return digits(seed, "md5")


def read(path: Path, content: str | bytes, **options: object) -> list[Item]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_list(path, ListOptions(**options)))  # type: ignore[arg-type]


def of(items: list[Item], kind: type[T]) -> list[T]:
    return [item for item in items if isinstance(item, kind)]


def hashes(items: list[Item]) -> dict[str, list[str]]:
    """Return the hashes that the list upserts, by entry id, as "type value"."""
    return {
        item.entry.key.entry_id: [f"{h.hash_type.name} {h.value.hex()}" for h in item.entry.hashes]
        for item in of(items, Upsert)
    }
