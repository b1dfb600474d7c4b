"""What lookups ask and find, by bank."""

from __future__ import annotations

import threading
from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from nearhash.v1 import lookup_pb2
from nearhash_index.hash_types import HASH_TYPES, HashType
from nearhash_service.metrics.buckets import Buckets

__all__ = ["LookupCounts"]

_LABELS = ["bank", "hash_type"]
_CANDIDATES = (0, *(10**i for i in range(9)))
_MAX_SETS_OF_BANKS = 1000
"""That are told apart while counting: callers may name whatever banks they like."""
_MAX_STEPS = 16
"""A histogram tells distances apart up to twice the type's default radius, in so many steps at most."""


class LookupCounts(Collector):
    """Counts lookups and matches per bank, in dictionaries behind one lock.

    A lookup searches many banks, and prometheus_client's counters would take a quarter of a microsecond for each. So
    lookups are counted by the set of banks that they search, in O(1), and by bank when the figures are asked for.

    Attributes
    ----------
    queries : Collector
        Of hashes sent, by hash type.
    """

    def __init__(self) -> None:
        self.queries = _Queries()
        self._lock = threading.Lock()
        self._searched: Tally[tuple[str, frozenset[str]]] = Tally()
        self._lookups: Tally[tuple[str, str]] = Tally()
        self._distances: dict[tuple[str, str], Tally[int]] = defaultdict(Tally)
        self._matched: Tally[tuple[str, str]] = Tally()
        self._allowed: Tally[tuple[str, str]] = Tally()
        self._unsearchable: Tally[str] = Tally()
        self._truncated: Tally[str] = Tally()
        self._candidates: dict[str, Buckets] = defaultdict(lambda: Buckets(_CANDIDATES))

    def count_candidates(self, hash_type: HashType, candidates: int) -> None:
        """Count what one query met."""
        with self._lock:
            self._candidates[hash_type.name].add(candidates)

    def count(
        self,
        hash_type: HashType,
        banks: frozenset[str],
        query_count: int,
        matches: Sequence[tuple[str, int, int]],
        response: lookup_pb2.LookupResponse,
    ) -> None:
        """Count a lookup that was answered.

        Parameters
        ----------
        hash_type : HashType
        banks : frozenset of str
            Those that were searched.
        query_count : int
            Hashes that the request had.
        matches : sequence of (bank, query, distance)
            Those of the response.
        response : LookupResponse
            What else there is, is read from it.
        """
        name = hash_type.name
        searched = query_count - len(response.unsearchable)
        with self._lock:
            self.queries.counts[name] += query_count
            self._searched[name, banks] += searched
            if len(self._searched) > _MAX_SETS_OF_BANKS:
                self._tell_banks_apart()
            if searched < query_count:
                self._unsearchable[name] += query_count - searched
            if response.truncated:
                self._truncated[name] += len(response.truncated)
            self._count_matches(name, matches)
            for allowed in response.allowed:
                self._allowed[allowed.bank, name] += 1

    def count_few(
        self, hash_type: HashType, banks: frozenset[str], query_count: int, matches: Sequence[tuple[str, int, int]] = ()
    ) -> None:
        """Count a lookup that searched all its hashes, as `count` does."""
        name = hash_type.name
        with self._lock:
            self.queries.counts[name] += query_count
            self._searched[name, banks] += query_count
            if matches:
                self._count_matches(name, matches)

    def _count_matches(self, hash_type: str, matches: Sequence[tuple[str, int, int]]) -> None:
        for bank, _, distance in matches:
            self._distances[bank, hash_type][distance] += 1
        for bank, _ in {(bank, query) for bank, query, _ in matches}:
            self._matched[bank, hash_type] += 1

    def _tell_banks_apart(self) -> None:
        for (name, banks), n in self._searched.items():
            for bank in banks:
                self._lookups[bank, name] += n
        self._searched.clear()

    def collect(self) -> Iterator[Metric]:
        """Yield the families of all that was counted."""
        with self._lock:
            self._tell_banks_apart()
            lookups = Tally(self._lookups)
            distances = {labels: Tally(counts) for labels, counts in self._distances.items()}
            matched, allowed = Tally(self._matched), Tally(self._allowed)
            unsearchable, truncated = Tally(self._unsearchable), Tally(self._truncated)
            candidates = {name: met.told() for name, met in self._candidates.items()}
        yield _counter("nearhash_bank_lookups", "Hashes looked up in a bank.", _LABELS, lookups.items())
        yield _counter("nearhash_bank_matched_lookups", "Hashes with a match in a bank.", _LABELS, matched.items())
        yield _distance_histogram(distances)
        yield _counter(
            "nearhash_bank_allowed",
            "Hashes whose matches an allowlist suppressed, by allowlist.",
            _LABELS,
            allowed.items(),
        )
        yield _counter(
            "nearhash_unsearchable",
            "Hashes that were not searched because they are degenerate.",
            ["hash_type"],
            [([name], n) for name, n in unsearchable.items()],
        )
        yield _counter(
            "nearhash_truncated",
            "Hashes with more matches than were asked for.",
            ["hash_type"],
            [([name], n) for name, n in truncated.items()],
        )
        yield _candidates_histogram(candidates)


class _Queries(Collector):
    """Hashes sent; a collector of its own, since workers' are told apart."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(HASH_TYPES, 0)

    def collect(self) -> Iterator[Metric]:
        counts = [([name], count) for name, count in self.counts.items()]
        yield _counter("nearhash_queries", "Hashes that lookups sent.", ["hash_type"], counts)


def _counter(name: str, documentation: str, labels: list[str], counts: Iterable[tuple[Sequence[str], int]]) -> Metric:
    family = CounterMetricFamily(name, documentation, labels=labels)
    for values, count in counts:
        family.add_metric(values, count)
    return family


def _distance_histogram(distances: dict[tuple[str, str], Tally[int]]) -> Metric:
    family = HistogramMetricFamily(
        "nearhash_bank_match_distance", "Matched entries by distance in bits; the count is that of all.", labels=_LABELS
    )
    for (bank, name), counts in distances.items():
        bounds = distance_bounds(HASH_TYPES[name])
        buckets = [(str(float(bound)), sum(n for d, n in counts.items() if d <= bound)) for bound in bounds]
        total = sum(counts.values())
        family.add_metric([bank, name], [*buckets, ("+Inf", total)], sum(d * n for d, n in counts.items()))
    return family


def _candidates_histogram(candidates: Mapping[str, tuple[list[tuple[str, float]], float]]) -> Metric:
    family = HistogramMetricFamily(
        "nearhash_query_candidates",
        "Codes that a query met, in its buckets or all; of the first hash of one lookup in 100.",
        labels=["hash_type"],
    )
    for name, told in candidates.items():
        family.add_metric([name], *told)
    return family


def distance_bounds(hash_type: HashType) -> range:
    """Return the upper bounds, inclusive, of the distances that a histogram tells apart."""
    last = 2 * hash_type.default_radius
    return range(0, last + 1, max(1, -(-last // _MAX_STEPS)))
