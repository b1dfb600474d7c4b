"""Lists of codes to search, and queries for them."""

from __future__ import annotations

import numpy as np

from nearhash_index.codes import Codes


def uniform(rng: np.random.Generator, n: int, words: int) -> Codes:
    """Return n random codes."""
    return rng.integers(0, 2**64, (n, words), dtype=np.uint64)


def adversarial(rng: np.random.Generator, n: int, words: int) -> Codes:
    """Return codes that differ in a quarter of their bits only, so that all share the values of most bands."""
    return uniform(rng, n, words) & np.uint64(0x003F_003F_003F_003F)


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
