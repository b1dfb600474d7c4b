"""Collections of codes and queries that every search path must answer like the oracle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nearhash_index.codes import Codes

WIDTHS = (1, 2, 3, 4)


@dataclass(frozen=True)
class Case:
    name: str
    codes: Codes
    queries: Codes


def random_codes(rng: np.random.Generator, n: int, words: int) -> Codes:
    return rng.integers(0, 2**64, (n, words), dtype=np.uint64)


def flip_bits(rng: np.random.Generator, codes: Codes, flips: int) -> Codes:
    """Flip exactly `flips` different bits of each code."""
    n, words = codes.shape
    flipped = np.zeros((n, words * 64), dtype=np.uint8)
    np.put_along_axis(flipped, np.argsort(rng.random((n, words * 64)), axis=1)[:, :flips], 1, axis=1)
    return codes ^ np.packbits(flipped, axis=1).view(np.uint64)


def all_cases(words: int, n: int = 8000, seed: int = 1) -> Iterator[Case]:
    """Yield random, skewed, clustered and tiny collections of codes of that many words."""
    rng = np.random.default_rng(seed)

    def near(codes: Codes, flips: tuple[int, ...] = (0, 1, 4, 8, 9, 31, 32)) -> Codes:
        chosen = codes[rng.integers(0, len(codes), len(flips))]
        return np.concatenate([flip_bits(rng, chosen[i : i + 1], f) for i, f in enumerate(flips)])

    uniform = random_codes(rng, n, words)
    yield Case("uniform", uniform, np.concatenate([near(uniform), random_codes(rng, 3, words)]))
    yield Case("uniform, empty batch", uniform, uniform[:0])
    for size in (0, 1, 2):
        yield Case(f"{size} codes", uniform[:size], uniform[:3])
    duplicates = uniform[rng.integers(0, 40, n)]
    yield Case("duplicates", duplicates, near(duplicates))
    yield Case("all zero", np.zeros((n, words), np.uint64), near(np.zeros((1, words), np.uint64)))
    shared_band = uniform.copy()
    shared_band[:, 0] = (shared_band[:, 0] & np.uint64(0xFFFFFFFF)) | np.uint64(0xABCD << 32)
    yield Case("one shared band", shared_band, near(shared_band))
    balanced = flip_bits(rng, np.zeros((n, words), np.uint64), 32 * words)
    yield Case("balanced", balanced, near(balanced))
    cluster = np.concatenate([flip_bits(rng, np.repeat(uniform[:1], n // 16, axis=0), k) for k in range(16)])
    yield Case("near-duplicate cluster", cluster, near(cluster))
