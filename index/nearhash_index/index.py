"""The search index: built once, immutable, safe to search from any number of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nearhash_index import brute_force, calibration, tables
from nearhash_index.bands import Band
from nearhash_index.codes import Codes, check_codes
from nearhash_index.errors import InvalidInput
from nearhash_index.explain import Explanation
from nearhash_index.hash_types import HashType
from nearhash_index.layout import choose_bands
from nearhash_index.matches import Hits, Matches
from nearhash_index.plan import Plan, Planner
from nearhash_index.planes import Planes, codes_of, planes_of
from nearhash_index.quick_search import MOST_HASHES, QuickSearch
from nearhash_index.tables import Tables
from nearhash_index.unique import Postings, collapse

__all__ = ["Index"]

T = TypeVar("T")
R = TypeVar("R")

_MOST_CODES = 2**32 - 1
"""Ids and offsets have 32 bits."""
_RADIUS_PER_WORD = 8
_SHORT_NS = 200_000
"""Others can wait so long for the GIL."""
_LEAST_NS_PER_THREAD = 200_000
"""To start a thread takes about as long."""


class Index:
    """Finds all codes within a Hamming radius of a query, exactly.

    Build one with `Index.build`, or open one over the arrays of another with `Index.open`: nothing is copied then, so
    the arrays may lie in a memory map.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._arrays = {name: tables.read_only(array) for name, array in arrays.items()}
        self._bands = tuple(Band(*map(int, row)) for row in self._arrays["bands"])
        self._planes: Planes = self._arrays["planes"]
        self._plane_list = tuple(self._planes)
        self._postings = Postings(self._arrays["posting_starts"], self._arrays["posting_rows"])
        self._tables = Tables.over(
            self._bands, *(self._arrays[name] for name in ("offsets", "entries", "rests", "ids"))
        )
        self._planner: Planner | None = None
        self._plans: dict[int, Plan | None] = {}

    @classmethod
    def build(cls, codes: Codes, *, radius: int | None = None, threads: int = 1) -> Index:
        """Index the codes, in O(n log n).

        Parameters
        ----------
        codes : uint64[n, words]
            words is 1 to 4, n less than 2**32. Copied.
        radius : int, optional
            The radius to make fast, in bits, inclusive: 0 for digests. By default 8 per word. All others are answered
            exactly, too, by the same tables or by brute force, whichever is expected to be faster.
        threads : int
            Number of tables to build at a time.

        Raises
        ------
        InvalidInput
            If the array has another shape or dtype, or the radius is out of range.
        """
        codes = check_codes(codes, "codes")
        if len(codes) > _MOST_CODES:
            raise InvalidInput("codes", f"{len(codes)} codes; use at most {_MOST_CODES} in one index")
        words = codes.shape[1]
        radius = _RADIUS_PER_WORD * words if radius is None else _checked_radius(radius, words)
        unique, postings = collapse(codes)
        planes = planes_of(unique)
        n = len(unique)
        brute_force_ns = n * calibration.brute_force_ns(words, radius)
        bands = choose_bands(n, words, radius, calibration.table_costs(16 * words * n), brute_force_ns)
        return cls.with_bands(planes, postings, bands, threads)

    @classmethod
    def with_bands(cls, planes: Planes, postings: Postings, bands: list[Band], threads: int = 1) -> Index:
        """Index unique codes by the bands given."""
        built = tables.build(planes, bands, threads)
        return cls.open(
            {
                "planes": planes,
                "posting_starts": postings.starts,
                "posting_rows": postings.rows,
                "bands": np.array(bands, dtype=np.int64).reshape(-1, 3),
                "bucket_sizes": tables.bucket_sizes(built),
                "offsets": built.offsets,
                "entries": built.entries,
                "rests": built.rests,
                "ids": built.ids,
            }
        )

    @classmethod
    def open(cls, arrays: Mapping[str, NDArray[Any]]) -> Index:
        """Search in place the arrays that `arrays()` of another index returned, in O(1).

        The file that they come from is to be verified before: damaged arrays may end the process.
        """
        return cls(arrays)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that the index consists of, for storage.

        planes : uint16[4, u] for codes of one word, else uint64[words, u]
            The u unique codes, sliced.
        posting_starts, posting_rows : see `Postings`
        bands : int64[m, 3]
            Word, shift and bits of each table's band.
        bucket_sizes : float64[m, MAX_THRESHOLD + 1]
            What the planner knows of the tables; see `Planner`.
        offsets, entries, rests, ids : see `Tables`
        """
        return dict(self._arrays)

    def codes(self) -> Codes:
        """Return the codes that the index was built from, uint64[n, words]; copied."""
        return self._postings.restore(codes_of(self._planes))

    @property
    def words(self) -> int:
        """Words per code."""
        return len(self._planes) * self._planes.itemsize // 8

    def __len__(self) -> int:
        return len(self._postings.rows) or int(self._planes.shape[1])

    def search(self, queries: Codes, radius: int, *, threads: int = 1) -> Matches:
        """Find every code within the radius of each query.

        Parameters
        ----------
        queries : uint64[q, words]
        radius : int
            Inclusive, in bits; 0 to 64 * words.
        threads : int
            The most to use: queries are shared out, or codes if brute force answers. The result does not depend on it.

        Returns
        -------
        Matches, sorted by (query, distance, row), `row` counting the codes as given to `build`.

        Raises
        ------
        InvalidInput
            If the queries have another shape or dtype, or the radius is out of range.
        """
        return self.matches(self.hits(queries, radius, threads=threads))

    def hits(self, queries: Codes, radius: int, *, threads: int = 1) -> Hits:
        """Find what `search` does, for `matches` to tell the rows of: of several searches together, if there are more.

        Raises
        ------
        InvalidInput
            If the queries have another shape or dtype, or the radius is out of range.
        """
        queries = tables.read_only(check_codes(queries, "queries", self.words))
        radius = _checked_radius(radius, self.words)
        plan = self._plan(radius)
        return self._scan(queries, radius, threads) if plan is None else self._probe(plan, queries, radius, threads)

    def matches(self, hits: Hits) -> Matches:
        """Turn hits into matches, in O(matches log matches)."""
        return self._postings.expand(hits)

    def codes_at(self, positions: NDArray[np.int64]) -> Codes:
        """Return unique codes by their positions, as matches name them: uint64[k, words]."""
        return codes_of(self._planes[:, positions])

    def count_candidates(self, query: Codes, radius: int) -> int:
        """Return how many codes a search for one query meets, most of which their entries in the tables rule out.

        `explain` tells what to expect.

        Parameters
        ----------
        query : uint64[1, words]
        radius : int
            Inclusive, in bits.

        Raises
        ------
        InvalidInput
            If the query has another shape or dtype, or the radius is out of range.
        """
        query = tables.read_only(check_codes(query, "query", self.words))
        plan = self._plan(_checked_radius(radius, self.words))
        return int(self._planes.shape[1]) if plan is None else tables.count_entries(self._tables, plan, query, radius)

    def explain(self, radius: int) -> Explanation:
        """Tell how queries of that radius (inclusive) are answered, and what that costs.

        Raises
        ------
        InvalidInput
            If the radius is out of range.
        """
        radius = _checked_radius(radius, self.words)
        plan = self._plan(radius)
        n = max(1, len(self))
        return Explanation(
            radius=radius,
            path="tables" if plan else "brute force",
            bands=self._bands,
            thresholds=plan.thresholds if plan else (),
            expected_probes=len(plan.probes.masks) if plan else 0,
            expected_candidates=plan.work.entries if plan else self._planes.shape[1],
            expected_us=(plan.cost_ns if plan else self._brute_force_ns(radius)) / 1000,
            bytes_per_hash={name: array.nbytes / n for name, array in self.arrays().items()},
        )

    def rows_of(self, position: int) -> tuple[int] | NDArray[np.uint32]:
        """Return the rows of a unique code by its position, as matches name it."""
        return self._postings.rows_of(position)

    def quick_search(self, hash_type: HashType, radius: int, added: Planes | None) -> QuickSearch | None:
        """Return what searches quickly for a few hashes here and among the codes added; None if one would take long.

        Raises
        ------
        InvalidInput
            If the radius is out of range.
        """
        plan = self._plan(_checked_radius(radius, self.words))
        cost_ns = plan.cost_ns if plan else self._brute_force_ns(radius)
        if added is not None:
            cost_ns += added.shape[1] * calibration.brute_force_ns(self.words, radius)
        most_hashes = int(_SHORT_NS / max(1.0, cost_ns))
        if not most_hashes:
            return None
        searched = (self._tables, plan) if plan else None
        return QuickSearch(hash_type, radius, min(most_hashes, MOST_HASHES), self._planes, searched, added)

    def warm(self, radii: Iterable[int]) -> None:
        """Plan for those radii and load the kernels, so that the first queries are fast, too."""
        for radius in radii:
            self.search(np.zeros((1, self.words), dtype=np.uint64), radius)

    def _probe(self, plan: Plan, queries: Codes, radius: int, threads: int) -> Hits:
        useful = _useful_threads(threads, len(queries) * plan.cost_ns)
        if useful == 1:
            hits, left = tables.search(self._tables, self._plane_list, plan, queries, radius)
        else:
            hits, left = self._probe_on_threads(plan, queries, radius, useful)
        if not len(left):
            return hits
        if len(left) == len(queries):
            return self._scan(queries, radius, threads)
        rest = self._scan(tables.read_only(queries[left]), radius, threads)
        return Hits.joined([hits, rest._replace(query=left[rest.query])])

    def _probe_on_threads(
        self, plan: Plan, queries: Codes, radius: int, threads: int
    ) -> tuple[Hits, NDArray[np.int64]]:
        if len(queries) < threads:
            # Too few to share out: each thread looks in tables of its own.
            parts = [(part, queries, 0) for part in plan.shared_out(threads)]
        else:
            borders = np.linspace(0, len(queries), threads + 1, dtype=np.int64)
            parts = [(plan, queries[first:last], int(first)) for first, last in pairwise(borders)]
        answers = _on_threads(
            lambda part: tables.search(self._tables, self._plane_list, part[0], part[1], radius), parts
        )
        firsts = [first for _, _, first in parts]
        hits = Hits.joined([hits._replace(query=hits.query + f) for f, (hits, _) in zip(firsts, answers, strict=True)])
        left = np.unique(np.concatenate([left + f for f, (_, left) in zip(firsts, answers, strict=True)]))
        # What one thread has found of a query that another one has left is found again.
        return Hits(*(array[~np.isin(hits.query, left)] for array in hits)) if len(left) else hits, left

    def _scan(self, queries: Codes, radius: int, threads: int) -> Hits:
        n = self._planes.shape[1]
        useful = _useful_threads(threads, len(queries) * self._brute_force_ns(radius))
        borders = np.linspace(0, n, useful + 1, dtype=np.int64)
        parts = list(pairwise(borders))
        answers = _on_threads(lambda part: brute_force.scan(self._planes[:, slice(*part)], queries, radius), parts)
        return Hits.joined(
            [hits._replace(code=hits.code + first) for hits, (first, _) in zip(answers, parts, strict=True)]
        )

    def _plan(self, radius: int) -> Plan | None:
        """Return the plan for the radius, or None for brute force. Made once; made twice by chance, it is the same."""
        if not self._bands:
            return None
        if radius not in self._plans:
            if self._planner is None:
                costs = calibration.table_costs(self._tables.entries.nbytes)
                self._planner = Planner(self._bands, self.words, self._arrays["bucket_sizes"], costs)
            self._plans[radius] = self._planner.plan(radius, self._brute_force_ns(radius))
        return self._plans[radius]

    def _brute_force_ns(self, radius: int) -> float:
        return int(self._planes.shape[1]) * calibration.brute_force_ns(self.words, radius)


def _useful_threads(threads: int, work_ns: float) -> int:
    return max(1, min(threads, int(work_ns / _LEAST_NS_PER_THREAD)))


def _on_threads(answer: Callable[[T], R], parts: Sequence[T]) -> list[R]:
    if len(parts) == 1:
        return [answer(parts[0])]
    with ThreadPoolExecutor(len(parts)) as pool:
        return list(pool.map(answer, parts))


def _checked_radius(radius: int, words: int) -> int:
    if not 0 <= radius <= 64 * words:
        raise InvalidInput("radius", f"{radius} is out of range; use 0 to {64 * words}")
    return radius
