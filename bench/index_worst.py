"""The index beside its own brute force, on lists made to mislead it: clusters, shared bits, crowded bands.

    python -m bench.index_worst

For each list and radius: the share of brute force's time that queries of the list itself, near it and far from it take.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from bench import lists
from bench.measure import rounds_us, save

from nearhash_index import Index, tables
from nearhash_index.codes import Codes

SEED = 3
ROUNDS = 15
QUERIES = {50_000: 64, 10**5: 64, 10**6: 16}
"""Per batch: enough for what a call costs by itself not to count."""
RADII = {1: range(4, 13), 4: (12, 24, 31, 36, 42, 48)}


def main() -> None:
    """Measure all lists, and record the worst radius of each."""
    worst = []
    for words, n, planned in ((1, 50_000, 8), (1, 10**5, 8), (1, 10**6, 8), (4, 10**6, 31)):
        for name, make in LISTS.items():
            rng = np.random.default_rng(SEED)
            codes = make(rng, n, words)
            index = Index.build(codes, radius=planned)
            rows = [row for radius in RADII[words] for row in shares(rng, codes, index, radius)]
            # None if the index itself takes brute force at all radii.
            if rows:
                worst.append({"list": name, "words": words, "n": n} | max(rows, key=lambda row: row["share"]))
                print(worst[-1], flush=True)
    save("worst", {"seed": SEED, "worst": worst})


def shares(rng: np.random.Generator, codes: Codes, index: Index, radius: int) -> list[dict[str, Any]]:
    """Compare for three kinds of queries, half of the listed ones being in the misleading part of the list."""
    told = index.explain(radius)
    if told.path != "tables":
        return []
    brute_force = without_tables(index)
    count = QUERIES[len(codes)]
    listed = codes[rng.integers(0, len(codes) // 5, count)]
    queries_of = {
        "listed": listed,
        "near": lists.flipped(rng, listed, min(radius, 8 * index.words)),
        "unrelated": lists.uniform(rng, count, index.words),
    }
    rows = []
    for kind, codes_asked in queries_of.items():
        queries = tables.read_only(np.ascontiguousarray(codes_asked))
        times = rounds_us(
            {
                "index": (lambda queries=queries: index.search(queries, radius), count),
                "brute force": (lambda queries=queries: brute_force.search(queries, radius), count),
            },
            ROUNDS,
        )
        rows.append({"radius": radius, "queries": kind, "share": times["index"] / times["brute force"], **times})
    return rows


def without_tables(index: Index) -> Index:
    """Return an index of the same codes that answers by brute force alone."""
    arrays = index.arrays()
    return Index.open(arrays | {name: arrays[name][:0] for name in ("bands", "bucket_sizes")})


def _clusters(rng: np.random.Generator, n: int, words: int, sizes: list[int], flips: list[int]) -> Codes:
    codes = lists.uniform(rng, n, words)
    start = 0
    for size, spread in zip(sizes, flips, strict=True):
        codes[start : start + size] = lists.flipped(rng, np.repeat(codes[start : start + 1], size, axis=0), spread)
        start += size
    return codes


def _one_cluster(rng: np.random.Generator, n: int, words: int) -> Codes:
    """Return codes of which a tenth differ from one in 6 bits."""
    return _clusters(rng, n, words, [n // 10], [6])


def _many_clusters(rng: np.random.Generator, n: int, words: int) -> Codes:
    """Return codes of which a tenth lie in 20 clusters, each wider than the one before."""
    return _clusters(rng, n, words, [n // 200] * 20, [4 + words * k for k in range(20)])


def _shared_word(rng: np.random.Generator, n: int, words: int) -> Codes:
    """Return codes of which 8 % share their last word."""
    codes = lists.uniform(rng, n, words)
    codes[: n * 8 // 100, -1] = codes[0, -1]
    return codes


def _shared_bits(rng: np.random.Generator, n: int, words: int) -> Codes:
    """Return codes of which a tenth share 45 bits in a row: one bucket of the last table, and its entries."""
    codes = lists.uniform(rng, n, words)
    shared = np.uint64((2**45 - 1) << 7)
    codes[: n // 10, -1] = (codes[: n // 10, -1] & ~shared) | (codes[0, -1] & shared)
    return codes


LISTS: dict[str, Callable[[np.random.Generator, int, int], Codes]] = {
    "uniform": lists.uniform,
    "one cluster": _one_cluster,
    "many clusters": _many_clusters,
    "a shared word": _shared_word,
    "shared bits": _shared_bits,
    "crowded bands": lists.adversarial,
}

if __name__ == "__main__":
    main()
