"""Bands: disjoint slices of a code's bits that serve as keys of tables."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Band", "equal_bands", "masks_within"]


class Band(NamedTuple):
    """Bits shift..shift + bits - 1 of one word, the least significant being bit 0.

    Bits that no band covers do not matter to exactness: a code within the radius is within it on the covered bits, too.
    """

    word: int
    shift: int
    bits: int


def equal_bands(words: int, per_word: int, bits: int) -> list[Band]:
    """Return `per_word` bands of `bits` bits (at most 32) in each word, one after the other."""
    return [Band(word, k * bits, bits) for word in range(words) for k in range(per_word)]


@cache
def masks_within(bits: int, most: int, least: int = 0) -> NDArray[np.uint32]:
    """Return all masks of `least` to `most` set bits among `bits`, ascending: so do the buckets lie in a table."""
    masks = [
        sum(1 << position for position in flipped)
        for flips in range(least, most + 1)
        for flipped in combinations(range(bits), flips)
    ]
    return np.sort(np.array(masks, dtype=np.uint32))
