"""What a query costs: the time that the index expects from measured times, and the candidates that it really meets."""

from __future__ import annotations

from itertools import cycle

from nearhash_index import calibration
from nearhash_index.codes import codes_from_bytes
from nearhash_index.hash_types import HashType
from nearhash_index.store import Generation
from nearhash_index.view import Reach, View
from nearhash_service.metrics.lookups import LookupCounts

__all__ = ["CandidateSample", "QueryCosts"]

_SAMPLE_EVERY = 100
"""Of these lookups one is sampled: to count candidates takes as long as to search, or longer."""


class QueryCosts:
    """Tells the costs of queries of the generation that is served, and remembers them."""

    def __init__(self) -> None:
        self._known: tuple[Generation | None, dict[tuple[str, int], float]] = None, {}

    def query_s(self, view: View, hash_type: HashType, radius: int) -> float:
        """Return the expected time of a query in a batch, on one thread, in seconds.

        Parameters
        ----------
        radius : int
            The widest that is searched, inclusive; -1 if nothing is.
        """
        generation, costs = self._known
        if generation is not view.generation:
            costs = {}
            self._known = view.generation, costs
        key = hash_type.name, radius
        if key not in costs:
            segment = view.generation.segments.get(hash_type.name)
            costs[key] = segment.index.explain(radius).expected_us * 1e-6 if segment and radius >= 0 else 0.0
        added = view.delta.segments.get(hash_type.name)
        if added is None or radius < 0:
            return costs[key]
        return costs[key] + len(added.entry) * calibration.brute_force_ns(hash_type.words, radius) * 1e-9


class CandidateSample:
    """Counts the candidates of some queries: the codes that a search meets, in the tables and among those added since.

    Parameters
    ----------
    counts : LookupCounts

    Attributes
    ----------
    turns : iterator of bool
        Tells of one lookup after the other whether it is to be sampled.
    """

    def __init__(self, counts: LookupCounts) -> None:
        self._counts = counts
        self.turns = cycle([True] + [False] * (_SAMPLE_EVERY - 1))

    def take(self, view: View, hash_type: HashType, hashes: bytes, reach: Reach) -> None:
        """Count what the first hash of a lookup meets, as far as the lookup reaches."""
        if reach.widest < 0:
            return
        packed = hashes[: hash_type.size_bytes]
        met = reach.quick.search.count_candidates(packed) if reach.quick else None
        if met is None:
            met = _count_candidates(view, hash_type, packed, reach.widest)
        self._counts.count_candidates(hash_type, met)


def _count_candidates(view: View, hash_type: HashType, packed: bytes, radius: int) -> int:
    segment, added = view.generation.segments.get(hash_type.name), view.delta.segments.get(hash_type.name)
    of_generation = segment.index.count_candidates(codes_from_bytes(packed, hash_type), radius) if segment else 0
    return of_generation + (len(added.entry) if added else 0)
