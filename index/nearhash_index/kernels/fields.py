# mypy: disable-error-code="call-arg, assignment"
# (Numba passes the first argument of an intrinsic itself, and types the functions.)
"""Fields of a code, as Numba functions: what a table holds of it, and where."""

from __future__ import annotations

from typing import Any

import numpy as np

from nearhash_index.kernels.caching import compiled
from nearhash_index.kernels.intrinsics import popcount

__all__ = ["entry_of", "key_of", "parity_of", "rest_of", "rotated_right", "word_of"]


@compiled(nogil=True)
def word_of(planes: Any, word: Any, row: Any) -> Any:
    """Put one uint64 word of a code together from the planes that hold its slices."""
    bits = 8 * planes[0].itemsize
    slices = 64 // bits
    value = np.uint64(0)
    for k in range(slices):
        value |= np.uint64(planes[word * slices + k][row]) << np.uint64(k * bits)
    return value


@compiled(nogil=True)
def rotated_right(value: Any, shift: Any) -> Any:
    """Rotate right: a band that began at bit `shift` begins at bit 0 then."""
    return (value >> shift) | (value << ((np.uint64(64) - shift) & np.uint64(63)))


@compiled(nogil=True)
def key_of(rotated: Any, bits: Any) -> Any:
    """Return the value of a band that begins at bit 0."""
    return rotated & ((np.uint64(1) << bits) - np.uint64(1))


@compiled(nogil=True)
def entry_of(rotated: Any) -> Any:
    """Return the 32 bits that a table holds of each code, for a band that begins at bit 0."""
    return rotated >> np.uint64(32)


@compiled(nogil=True)
def rest_of(rotated: Any, bits: Any) -> Any:
    """Return the bits between the entry and a band of that many bits, at most 16, those next to the entry."""
    return (rotated & np.uint64(0xFFFF_FFFF)) >> max(bits, np.uint64(16))


@compiled(nogil=True)
def parity_of(planes: Any, row: Any) -> Any:
    """Return 1 if a code has an odd number of set bits, else 0."""
    ones = np.uint64(0)
    for plane in planes:
        ones += np.uint64(popcount(plane[row]))
    return ones & np.uint64(1)
