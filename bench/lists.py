"""Lists of codes to search, and queries for them."""

from __future__ import annotations

import numpy as np

from nearhash_index.codes import Codes


def uniform(rng: np.random.Generator, n: int, words: int) -> Codes:
    """Return n random codes."""
    return rng.integers(0, 2**64, (n, words), dtype=np.uint64)


def adversarial(rng: np.random.Generator, n: int, words: int) -> Codes:
    """Return codes of which each 16 bits have one of 40 values only, so that they crowd in few buckets of a table."""
    values = rng.integers(0, 2**16, (words * 4, 40), dtype=np.uint16)
    return np.stack([rng.choice(column, n) for column in values], axis=1).view(np.uint64)


def flipped(rng: np.random.Generator, codes: Codes, flips: int) -> Codes:
    """Flip exactly that many different bits of each code."""
    n, words = codes.shape
    chosen = np.argsort(rng.random((n, words * 64)), axis=1)[:, :flips]
    bits = np.zeros((n, words * 64), dtype=np.uint8)
    np.put_along_axis(bits, chosen, 1, axis=1)
    return codes ^ np.packbits(bits, axis=1).view(np.uint64)


def planted(rng: np.random.Generator, codes: Codes, others: Codes, radius: int) -> Codes:
    """Return queries: codes of the list with `radius` bits flipped, alternating with others."""
    near = flipped(rng, codes[rng.integers(0, len(codes), len(others))], radius)
    return np.stack([near, others], axis=1).reshape(-1, codes.shape[1])
