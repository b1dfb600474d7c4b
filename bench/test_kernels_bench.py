"""Codes per second of the brute-force kernel, beside FAISS. Run by `make bench`."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
import pytest

from nearhash_index import brute_force
from nearhash_index.planes import planes_of
from nearhash_index.tables import read_only

N = 1_000_000
RADIUS = {1: 8, 2: 15, 3: 23, 4: 31}
BATCHES = [1, 64]
WIDTHS = [1, 2, 3, 4]


def _codes(words: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    return np.random.default_rng(words).integers(0, 2**64, (N, words), dtype=np.uint64)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("words", WIDTHS)
def test_nearhash(benchmark: Any, words: int, batch: int) -> None:
    codes = _codes(words)
    planes, queries = read_only(planes_of(codes)), codes[:batch]
    hits = benchmark(brute_force.scan, planes, queries, RADIUS[words])
    assert len(hits.query) >= batch
    benchmark.extra_info["codes_per_s"] = N * batch / benchmark.stats.stats.median


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("words", WIDTHS)
def test_faiss_binary_flat(benchmark: Any, words: int, batch: int) -> None:
    faiss.omp_set_num_threads(1)
    codes = _codes(words).view(np.uint8)
    index = faiss.IndexBinaryFlat(words * 64)
    index.add(codes)
    limits, _, _ = benchmark(index.range_search, codes[:batch], RADIUS[words] + 1)
    assert limits[-1] >= batch
    benchmark.extra_info["codes_per_s"] = N * batch / benchmark.stats.stats.median
