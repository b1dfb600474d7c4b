"""How the time of a query grows with the number of codes and with the radius, beside the floor of random reads.

python -m bench.index_scaling [most codes, default 100000000]
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from bench import lists
from bench.measure import rounds_us, save, seconds

from nearhash_index import Index, kernels, tables
from nearhash_index.codes import Codes

SEED = 11
QUERIES = 2000
ENTRIES_PER_LINE = 16
RADII = {1: range(17), 4: range(0, 49, 4)}
RADIUS_CODES = {1: 10**7, 4: 10**6}
PLANNED = {1: 8, 4: 31}


def main(most: int) -> None:
    """Measure both curves for 64 bits and PDQ."""
    by_n, by_radius = [], []
    for words, largest in ((1, most), (4, most // 10)):
        for n in (10**5, 10**6, 10**7, 10**8):
            if n <= largest:
                rng = np.random.default_rng(SEED)
                codes = lists.uniform(rng, n, words)
                index, built_s = build(codes, PLANNED[words])
                by_n.append(point(index, codes, rng, PLANNED[words]) | {"built_s": built_s})
                print(by_n[-1], flush=True)
                if n == RADIUS_CODES[words]:
                    by_radius += [point(index, codes, rng, radius) for radius in RADII[words]]
                del index, codes
    save("scaling", {"seed": SEED, "by_n": by_n, "by_radius": by_radius})


def build(codes: Codes, radius: int) -> tuple[Index, float]:
    """Build an index, and time it: once the kernels are compiled."""
    Index.build(codes[:100_000], radius=radius)
    built: list[Index] = []
    built_s = seconds(lambda: built.append(Index.build(codes, radius=radius)))
    return built[0], built_s


def point(index: Index, codes: Codes, rng: np.random.Generator, radius: int) -> dict[str, Any]:
    """Time queries of one radius, half of them planted at that distance."""
    told = index.explain(radius)
    count = QUERIES if told.path == "tables" else 32
    queries = lists.planted(rng, codes, lists.uniform(rng, count // 2, index.words), radius)
    runs = {"us": (lambda: index.search(queries, radius), len(queries))}
    if told.path == "tables":
        probes = round(told.expected_probes) * len(queries)
        entries, offsets = (tables.read_only(index.arrays()[name].reshape(-1)) for name in ("entries", "offsets"))
        # A run of s entries lies in 1 + (s - 1) / 16 lines on average; and each probe reads an offset.
        lines = max(1, round(1 + (told.expected_candidates / told.expected_probes - 1) / ENTRIES_PER_LINE))
        if len(entries) > 100 * lines * ENTRIES_PER_LINE:
            at = rng.integers(0, len(entries) // ENTRIES_PER_LINE - lines - 1, probes, dtype=np.uint64)
            offset_at = rng.integers(0, len(offsets) // ENTRIES_PER_LINE - 2, probes, dtype=np.uint64)
            at, offset_at = (tables.read_only(array * np.uint64(ENTRIES_PER_LINE)) for array in (at, offset_at))
            runs["floor_us"] = (lambda: _floor(entries, at, lines, offsets, offset_at), len(queries))
    times = rounds_us(runs)
    return {
        "words": index.words,
        "n": len(codes),
        "radius": radius,
        "path": told.path,
        "thresholds": told.thresholds,
        "bits": [band.bits for band in told.bands],
        "probes": told.expected_probes,
        "candidates": told.expected_candidates,
        "expected_us": told.expected_us,
        "bytes_per_hash": sum(told.bytes_per_hash.values()),
        **times,
    }


def _floor(entries: Any, at: Any, lines: int, offsets: Any, offset_at: Any) -> None:
    kernels.probing.read_lines(offsets, offset_at, 1)
    kernels.probing.read_lines(entries, at, lines)


if __name__ == "__main__":
    main(int(float(sys.argv[1])) if len(sys.argv) > 1 else 10**8)
