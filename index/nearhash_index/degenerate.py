"""Hashes that say too little about their image to be compared.

Flat, two-tone and letterboxed images hash to a few values, which match each other at distance 0 and would flood
reviewers. Such a hash is refused at import and named as unsearchable at lookup.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nearhash_index import kernels
from nearhash_index.codes import Codes
from nearhash_index.hash_types import HashType

__all__ = ["degenerate_reason", "degenerate_rows", "limits"]

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
    rows = np.empty(len(codes), dtype=np.int64)
    side, few = limits(hash_type)
    return rows[: kernels.degenerate.find_degenerate(codes, np.uint64(side), few, rows)]


def limits(hash_type: HashType) -> tuple[int, int]:
    """Return the side of a hash seen as a square, in bits, and how many bits set or clear are too few (inclusive).

    The side is 0 for digests.
    """
    return (math.isqrt(hash_type.bits), hash_type.bits // _RARE_SHARE) if hash_type.perceptual else (0, 0)


def degenerate_reason(hash_type: HashType) -> str:
    """Say for a person why such a hash is not compared."""
    return (
        f"this {hash_type.name} hash says too little about its image: nearly all bits are equal, or all rows or all "
        "columns are; flat, two-tone and letterboxed images share it"
    )
