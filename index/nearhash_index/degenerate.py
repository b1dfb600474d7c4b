"""Hashes that say too little about their image to be compared.

Flat, two-tone and letterboxed images hash to a few values, which match each other at distance 0 and would flood
reviewers. Such a hash is refused at import and named as unsearchable at lookup.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nearhash_index.codes import Codes, codes_to_bytes
from nearhash_index.hash_types import HashType

__all__ = ["degenerate_reason", "degenerate_rows"]

_RARE_SHARE = 16
"""A hash with at most a 16th of its bits set, or clear, is degenerate."""


def degenerate_rows(codes: Codes, hash_type: HashType) -> NDArray[np.int64]:
    """Return the rows of degenerate hashes, in O(n * bits). Digests never are.

    Parameters
    ----------
    codes : uint64[n, words]

    Returns
    -------
    int64[k], ascending.
    """
    if not hash_type.perceptual:
        return np.empty(0, dtype=np.int64)
    ones = np.bitwise_count(codes).sum(axis=1, dtype=np.int64)
    few = hash_type.bits // _RARE_SHARE
    extreme = (ones <= few) | (ones >= hash_type.bits - few)
    return np.flatnonzero(extreme | _repeats(codes, hash_type)).astype(np.int64)


def degenerate_reason(hash_type: HashType) -> str:
    """Say for a person why such a hash is not compared."""
    return (
        f"this {hash_type.name} hash says too little about its image: nearly all bits are equal, or all rows or all "
        "columns are; flat, two-tone and letterboxed images share it"
    )


def _repeats(codes: Codes, hash_type: HashType) -> NDArray[np.bool_]:
    """Tell which hashes, seen as squares of bits, have all rows equal or all columns equal."""
    side = math.isqrt(hash_type.bits)
    packed = np.frombuffer(codes_to_bytes(codes, hash_type), dtype=np.uint8).reshape(len(codes), side, side // 8)
    rows_equal = (packed == packed[:, :1]).all(axis=(1, 2))
    # All columns equal: each row is all zeros or all ones.
    columns_equal = (((packed == 0) | (packed == 255)) & (packed == packed[:, :, :1])).all(axis=(1, 2))
    return np.asarray(rows_equal | columns_equal)
