"""The libraries to compare with, behind one small interface.

A peer is built from codes. What it answers is as it comes, to be timed, and `rows` reads it. All have one thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import faiss
import hexhamming
import numpy as np
from threatexchange.signal_type.pdq.pdq_index import PDQIndex
from usearch.index import MetricKind
from usearch.index import search as usearch_search

from nearhash_index import Index, Matches, reference
from nearhash_index.codes import Codes

Rows = Sequence[Sequence[int]]


class Peer(Protocol):
    """Codes, searched for all within a radius."""

    def search(self, queries: Codes, radius: int) -> Any:
        """Find what lies within the radius (inclusive) of each query."""

    def rows(self, answer: Any, queries: int) -> Rows:
        """Return the rows found for each query."""


class NearHash:
    """The index of this project."""

    def __init__(self, codes: Codes, radius: int) -> None:
        self.index = Index.build(codes, radius=radius)

    def search(self, queries: Codes, radius: int) -> Matches:  # noqa: D102
        return self.index.search(queries, radius)

    def rows(self, answer: Matches, queries: int) -> Rows:  # noqa: D102
        return np.split(answer.row, np.searchsorted(answer.query, np.arange(1, queries)))


class NumPy(NearHash):
    """XOR and bitwise_count over all codes."""

    def __init__(self, codes: Codes) -> None:
        self._codes = codes

    def search(self, queries: Codes, radius: int) -> Matches:  # noqa: D102
        return reference.search(self._codes, queries, radius)


class Faiss:
    """An index of FAISS. Its radius is exclusive."""

    def __init__(self, codes: Codes, index: Any) -> None:
        faiss.omp_set_num_threads(1)
        self._index = index
        self._index.add(codes.view(np.uint8))

    def search(self, queries: Codes, radius: int) -> Any:  # noqa: D102
        return self._index.range_search(queries.view(np.uint8), radius + 1)

    def rows(self, answer: Any, queries: int) -> Rows:  # noqa: ARG002, D102
        limits, _, rows = answer
        return np.split(rows, limits[1:-1].astype(np.int64))


def faiss_flat(codes: Codes) -> Faiss:
    """Brute force."""
    return Faiss(codes, faiss.IndexBinaryFlat(codes.shape[1] * 64))


def faiss_multi_hash(codes: Codes, hashes: int, bits: int, flips: int) -> Faiss:
    """Multi-index hashing with the plain pigeonhole principle: exact if (flips + 1) * hashes > radius."""
    index = faiss.IndexBinaryMultiHash(codes.shape[1] * 64, hashes, bits)
    index.nflip = flips
    return Faiss(codes, index)


def faiss_hash(codes: Codes, bits: int, flips: int) -> Faiss:
    """One table, by the first bits: exact only if flips is the radius."""
    index = faiss.IndexBinaryHash(codes.shape[1] * 64, bits)
    index.nflip = flips
    return Faiss(codes, index)


class ThreatExchange:
    """PDQIndex, which the Hasher-Matcher-Actioner runs. Its radius is fixed at 31, and it takes one query at a time."""

    def __init__(self, codes: Codes) -> None:
        faiss.omp_set_num_threads(1)
        self._index = PDQIndex((code.tobytes().hex(), row) for row, code in enumerate(codes))

    def search(self, queries: Codes, radius: int) -> Any:  # noqa: D102
        if radius != PDQIndex.get_match_threshold():
            raise ValueError(f"radius {radius}; PDQIndex has a radius of {PDQIndex.get_match_threshold()} alone")
        return [self._index.query(query.tobytes().hex()) for query in queries]

    def rows(self, answer: Any, queries: int) -> Rows:  # noqa: ARG002, D102
        return [[match.metadata for match in found] for found in answer]


class Usearch:
    """Exact search of the nearest 10; it has none by radius."""

    def __init__(self, codes: Codes) -> None:
        self._codes = codes.view(np.uint8)

    def search(self, queries: Codes, radius: int) -> Any:  # noqa: D102
        found = usearch_search(self._codes, queries.view(np.uint8), 10, MetricKind.Hamming, exact=True, threads=1)
        return found.keys, found.distances <= radius

    def rows(self, answer: Any, queries: int) -> Rows:  # noqa: ARG002, D102
        return [keys[near] for keys, near in zip(*answer, strict=True)]


class HexHamming:
    """A comparison of byte strings, which returns all within the radius."""

    def __init__(self, codes: Codes) -> None:
        self._bytes = codes.tobytes()

    def search(self, queries: Codes, radius: int) -> Any:  # noqa: D102
        return [
            hexhamming.check_bytes_arrays_all_within_dist(self._bytes, query.tobytes(), radius) for query in queries
        ]

    def rows(self, answer: Any, queries: int) -> Rows:  # noqa: ARG002, D102
        return [[row for _, row in found] for found in answer]
