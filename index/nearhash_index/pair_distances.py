"""Distances between different images of a list, counted on samples.

Two samples, since no single one shows both the bulk of the distances and their rare low end:

- all pairs of a few thousand hashes, at any distance;
- a search for as many hashes as time allows, within a radius: pairs of these hashes with the whole list.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from nearhash_index.codes import Codes
from nearhash_index.index import Index

__all__ = ["PairDistances", "all_pairs", "searched_pairs"]

_QUERIES = 2000
_CODES = 20_000
_FIRST_BATCH, _LAST_BATCH = 64, 4096
_MANY_HITS = 1 << 16
"""In one batch: the next one has no more queries. Copies by the thousand shall not fill the memory."""
_MOST_HITS = 1 << 22
_DISTANCE_BITS = 16
"""Room for a distance in a number that tells a query and a distance."""


@dataclass(frozen=True, slots=True)
class PairDistances:
    """How many codes of other entries lie at which distance of each query.

    Attributes
    ----------
    query, distance, count : int64[k]
        Queries count from 0.
    query_count : int
    exposure : float
        Number of pairs looked at.
    """

    query: NDArray[np.int64]
    distance: NDArray[np.int64]
    count: NDArray[np.int64]
    query_count: int
    exposure: float

    def counts(self, bits: int) -> NDArray[np.float64]:
        """Return the number of pairs at each distance, float64[bits + 1]."""
        return self._summed(self.count, bits)

    def resampled(self, bits: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return the counts of a bootstrap sample, each query drawn a Poisson(1) number of times.

        Pairs of one query depend on each other, so queries are drawn, not pairs.
        """
        weight = rng.poisson(1.0, self.query_count)
        return self._summed(weight[self.query] * self.count, bits)

    def _summed(self, weights: NDArray[np.int64], bits: int) -> NDArray[np.float64]:
        return np.bincount(self.distance, weights=weights, minlength=bits + 1).astype(np.float64)


def all_pairs(codes: Codes, entry: NDArray[np.int64], rng: np.random.Generator) -> PairDistances:
    """Compare some hashes with some others, at most 2,000 with 20,000.

    Parameters
    ----------
    codes : uint64[n, words]
        n at least 2.
    entry : int64[n]
        The entry of each.
    """
    order = rng.permutation(len(codes))
    queries = order[: min(_QUERIES, len(codes) // 2)]
    others = order[len(queries) : len(queries) + _CODES]
    planes, entries = np.ascontiguousarray(codes[others].T), entry[others]
    counts = np.zeros((len(queries), 64 * codes.shape[1] + 1), dtype=np.int64)
    for i, row in enumerate(queries):
        distance = np.bitwise_count(planes ^ codes[row][:, None]).sum(axis=0, dtype=np.int64)
        counts[i] = np.bincount(distance[entries != entry[row]], minlength=counts.shape[1])
    query, distance = np.nonzero(counts)
    return PairDistances(query, distance, counts[query, distance], len(queries), float(counts.sum()))


def searched_pairs(
    index: Index, codes: Codes, entry: NDArray[np.int64], radius: int, *, budget_s: float, rng: np.random.Generator
) -> PairDistances:
    """Search some hashes in the whole list, at most half of them.

    Parameters
    ----------
    index : Index
        Of the codes.
    radius : int
        Inclusive.
    budget_s : float
        About how long to go on.
    """
    rows = rng.permutation(len(codes))[: len(codes) // 2]
    deadline_s = monotonic() + budget_s
    found = []
    done = hits = 0
    batch = _FIRST_BATCH
    while done < len(rows) and hits < _MOST_HITS and (monotonic() < deadline_s or not done):
        of = rows[done : done + batch]
        matches = index.search(codes[of], radius)
        different = entry[of[matches.query]] != entry[matches.row]
        found.append((matches.query[different] + done) << _DISTANCE_BITS | matches.distance[different])
        done += len(of)
        hits += len(matches)
        batch = min(2 * batch, _LAST_BATCH) if len(matches) < _MANY_HITS else batch
    pair, count = np.unique(np.concatenate(found), return_counts=True)
    query, distance = pair >> _DISTANCE_BITS, pair & ((1 << _DISTANCE_BITS) - 1)
    return PairDistances(query, distance, count, done, float(done) * len(codes))
