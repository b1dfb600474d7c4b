"""Codes: hashes packed as rows of uint64 words.

Word 0 holds a hash's first 8 bytes, the most significant byte of the hash being that of the word. A hash whose width
is no multiple of 64 bits (SHA-1) ends in zero bits, which add nothing to a distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nearhash_index.errors import InvalidInput
from nearhash_index.hash_types import HashType

__all__ = [
    "Codes",
    "check_codes",
    "codes_from_bytes",
    "codes_from_hex",
    "codes_to_bytes",
    "count_hashes",
    "hex_to_hash",
]

Codes: TypeAlias = NDArray[np.uint64]
"""uint64[n, words]."""


def codes_from_bytes(packed: bytes | memoryview, hash_type: HashType, field: str = "hashes") -> Codes:
    """Turn concatenated hashes of one type into codes, in O(bytes).

    Parameters
    ----------
    packed : bytes-like
        n hashes of `hash_type.size_bytes` bytes each, without separators.
    field : str
        Named in the error.

    Returns
    -------
    uint64[n, words], C-contiguous.

    Raises
    ------
    InvalidInput
        If the length is not a multiple of the hash's width.
    """
    count_hashes(packed, hash_type, field)
    width = hash_type.size_bytes
    if width % 8:
        rows = np.frombuffer(packed, dtype=np.uint8).reshape(-1, width)
        packed = np.pad(rows, ((0, 0), (0, -width % 8))).tobytes()
    return np.frombuffer(packed, dtype=">u8").astype(np.uint64).reshape(-1, hash_type.words)


def count_hashes(packed: bytes | memoryview, hash_type: HashType, field: str = "hashes") -> int:
    """Return the number of concatenated hashes; raise InvalidInput if it is not whole."""
    count, more_bytes = divmod(len(packed), hash_type.size_bytes)
    if more_bytes:
        raise InvalidInput(
            field,
            f"{len(packed)} bytes are no whole number of {hash_type.name} hashes, which have {hash_type.size_bytes} "
            "bytes each",
        )
    return count


def codes_to_bytes(codes: Codes, hash_type: HashType) -> bytes:
    """Turn codes into concatenated hashes: the inverse of `codes_from_bytes`."""
    rows = np.ascontiguousarray(codes).astype(">u8").view(np.uint8)
    return rows[:, : hash_type.size_bytes].tobytes()


def codes_from_hex(hashes: Sequence[str], hash_type: HashType) -> Codes:
    """Turn hexadecimal hashes into codes.

    Raises
    ------
    InvalidInput
        Naming the position of the first hash that is not `size_bytes * 2` hexadecimal digits.
    """
    return codes_from_bytes(
        b"".join(hex_to_hash(text, hash_type, f"hashes[{i}]") for i, text in enumerate(hashes)), hash_type
    )


def hex_to_hash(text: str, hash_type: HashType, field: str = "hash") -> bytes:
    """Parse one hash in hexadecimal, in either case."""
    digits = hash_type.size_bytes * 2
    if len(text) != digits:
        raise InvalidInput(field, f"{len(text)} characters; a {hash_type.name} hash has {digits} hexadecimal digits")
    try:
        # fromhex alone would skip spaces between bytes.
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != hash_type.size_bytes:
        raise InvalidInput(field, f"not hexadecimal; a {hash_type.name} hash has {digits} digits of 0-9 and a-f")
    return value


def check_codes(codes: Codes, field: str, words: int | None = None) -> Codes:
    """Return `codes` C-contiguous, or raise InvalidInput unless it is uint64[n, words]."""
    if codes.dtype != np.uint64 or codes.ndim != 2 or not 1 <= codes.shape[1] <= 4:
        raise InvalidInput(field, f"{codes.dtype}{list(codes.shape)}; use uint64[n, words] with 1 to 4 words")
    if words is not None and codes.shape[1] != words:
        raise InvalidInput(field, f"codes of {codes.shape[1]} words; this index holds codes of {words}")
    return np.ascontiguousarray(codes)
