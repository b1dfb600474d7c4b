"""Plans: how far to look around the query's value of each band, for a given radius.

With thresholds t of which each is at least -1 (do not look) and the sum of t + 1 over all bands is radius + 1, a code
within the radius lies within t of the query in at least one band: were it t + 1 or more away in all of them, it would
be radius + 1 away. That is the general pigeonhole principle (Qin, Xiao et al.: GPH, ICDE 2018, section 3), and any such
choice is exact. Hence the cheapest may be chosen for every radius, over the same tables.

The principle holds for the words of a code as well as for the bands of a word: with s the sum of t + 1 over the bands
of a word, some word lies within s - 1, and within it some band within its t. So a candidate is ruled out by its word
alone, however wide the code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nearhash_index.bands import Band, masks_within
from nearhash_index.work import SAMPLES, Costs, Work, table_work

__all__ = ["MAX_THRESHOLD", "Limits", "Plan", "Planner", "Probes", "plan_with"]

MAX_THRESHOLD = 5
"""Farther than that, a table is never cheaper than brute force."""

_SHARE = 0.45
"""Tables must promise to cost less than this share of brute force: the estimate of brute force is the better one."""
_ENTRIES_SHARE = 0.8
"""Share of brute force's cost from which on a query's entries are not read."""
_UNSAMPLED_SHARE = 0.1
"""A query whose entries cost more of brute force is searched for only if a sample of them foretells few candidates."""
_LOOK_SHARE = 0.12
"""Tables are not used if to look at a query, and to leave it, costs more of brute force."""
_TABLE_NS, _BORDERS_NS, _SAMPLE_NS = 20, 2.5, 5
"""What that look costs by table, probe and place of the sample, where brute force is fast enough for it to matter."""
_CANDIDATES_SHARE = 0.1
"""Share that the candidates of one query may have, or twice what is expected."""
_FEWEST_CANDIDATES, _MOST_CANDIDATES = 32, 1 << 16


_Choices: TypeAlias = dict[int, tuple[float, tuple[int, ...]]]
"""By the sum of t + 1 over some bands: the least cost, and the thresholds that have it."""


class Probes(NamedTuple):
    """The plan as the kernel reads it.

    Attributes
    ----------
    masks : uint32[p]
        What to flip in the query's band values; those of one table together.
    starts : int64[m + 1]
        Where each table's masks begin.
    both_stops : int64[m]
        Where the masks begin at which only codes of the radius's parity are of interest.
    thresholds : int64[m]
    word_radii : int64[words]
        Bound to the distance in one word.
    lowered : int64
        The table whose threshold is one less for codes that differ from the query by another parity than the radius.
    """

    masks: NDArray[np.uint32]
    starts: NDArray[np.int64]
    both_stops: NDArray[np.int64]
    thresholds: NDArray[np.int64]
    word_radii: NDArray[np.int64]
    lowered: int


class Limits(NamedTuple):
    """What the search of one query may touch before it is left to brute force.

    Attributes
    ----------
    entries : int
        Known before any is read.
    unsampled : int
        Up to so many entries are read without a look at a sample first.
    candidates : int
        Expected by the sample, or met.
    """

    entries: int
    unsampled: int
    candidates: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Thresholds for one radius, with what a query is expected to cost.

    Attributes
    ----------
    thresholds : tuple of int
        By table.
    work : Work
        Expected per query, matches not counted.
    cost_ns : float
        Expected time per query.
    """

    thresholds: tuple[int, ...]
    probes: Probes
    limits: Limits
    work: Work
    cost_ns: float

    def shared_out(self, parts: int) -> list[Plan]:
        """Return plans that together probe what this one does, each in tables of its own. At most one per table.

        Thresholds stay as they are, so that each match is still reported by one table, and by one plan.
        """
        masks, starts, both_stops = self.probes.masks, self.probes.starts, self.probes.both_stops
        counts = np.diff(starts)
        # The largest first, each to the part that has the least so far.
        loads = np.zeros(min(parts, int(np.count_nonzero(counts))), dtype=np.int64)
        part_of = np.zeros(len(counts), dtype=np.int64)
        for t in np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]:
            part_of[t] = loads.argmin()
            loads[part_of[t]] += counts[t]
        plans = []
        for part in range(len(loads)):
            kept = np.where(part_of == part, counts, 0)
            part_starts = np.concatenate([[0], np.cumsum(kept)])
            part_masks = masks[np.repeat(part_of == part, counts)]
            part_stops = part_starts[:-1] + np.where(kept > 0, both_stops - starts[:-1], 0)
            probes = self.probes._replace(masks=part_masks, starts=part_starts, both_stops=part_stops)
            plans.append(replace(self, probes=_read_only(probes)))
        return plans


class Planner:
    """Chooses thresholds by their expected costs, with dynamic programming over bands, then words.

    Parameters
    ----------
    bands : sequence of Band
    words : int
        Words per code.
    bucket_sizes : float[m, MAX_THRESHOLD + 1]
        Codes expected at a band value 0, 1, ... bits away from that of a query.
    """

    def __init__(self, bands: Sequence[Band], words: int, bucket_sizes: NDArray[np.float64], costs: Costs) -> None:
        self._bands, self._words, self._sizes, self._costs = list(bands), words, bucket_sizes, costs
        by_word = [[t for t, band in enumerate(bands) if band.word == word] for word in range(words)]
        self._tables = [t for tables in by_word for t in tables]
        # choices[w][s]: the cheapest thresholds of the bands of word w with a sum of t + 1 of s, and their cost.
        self._choices = [
            [self._cheapest_in_word(tables, s) for s in range(len(tables) * (MAX_THRESHOLD + 1) + 1)]
            for tables in by_word
        ]

    def plan(self, radius: int, brute_force_ns: float) -> Plan | None:
        """Return the cheapest plan for the radius, or None if brute force is cheaper."""
        best: _Choices = {0: (0.0, ())}
        for choices in self._choices:
            best = _cheapest_sums(best, dict(enumerate(choices)), radius + 1)
        # What parity saves comes on top, and is less than half.
        if radius + 1 not in best or not best[radius + 1][0] < brute_force_ns:
            return None
        in_order = dict(zip(self._tables, best[radius + 1][1], strict=True))
        thresholds = tuple(in_order[t] for t in range(len(self._bands)))
        plan = plan_with(self._bands, self._words, thresholds, self._sizes, self._costs, brute_force_ns)
        worthwhile = plan.cost_ns < _SHARE * brute_force_ns and _look_ns(plan.probes) < _LOOK_SHARE * brute_force_ns
        return plan if worthwhile and plan.work.candidates < plan.limits.candidates else None

    def _cheapest_in_word(self, tables: list[int], total: int) -> tuple[float, tuple[int, ...]]:
        best: _Choices = {0: (0.0, ())}
        for t in tables:
            choices: _Choices = {
                threshold + 1: (
                    table_work(self._bands[t].bits, threshold, self._sizes[t], total - 1).cost_ns(self._costs),
                    (threshold,),
                )
                for threshold in range(-1, min(MAX_THRESHOLD, total - 1, self._bands[t].bits) + 1)
            }
            best = _cheapest_sums(best, choices, total)
        return best.get(total, (math.inf, (-1,) * len(tables)))


def plan_with(
    bands: Sequence[Band],
    words: int,
    thresholds: tuple[int, ...],
    bucket_sizes: NDArray[np.float64],
    costs: Costs,
    brute_force_ns: float,
) -> Plan:
    """Make the plan of given thresholds; it is one for the radius sum(t + 1) - 1."""
    word_radii = np.full(words, -1, dtype=np.int64)
    for band, threshold in zip(bands, thresholds, strict=True):
        word_radii[band.word] += threshold + 1

    def work(t: int, threshold: int) -> Work:
        return table_work(bands[t].bits, threshold, bucket_sizes[t], int(word_radii[bands[t].word]))

    saved = [
        work(t, k).cost_ns(costs) - work(t, k - 1).cost_ns(costs) if k >= 0 else -1 for t, k in enumerate(thresholds)
    ]
    lowered = int(np.argmax(saved))
    halves = [work(t, k) for t, k in enumerate(thresholds)]
    halves += [work(t, k - (t == lowered)) for t, k in enumerate(thresholds)]
    # Masks at which both parities are of interest, then those at which one is.
    last = [k if t == lowered else -1 for t, k in enumerate(thresholds)]
    both = [
        masks_within(band.bits, k - (t == lowered)) for t, (band, k) in enumerate(zip(bands, thresholds, strict=True))
    ]
    one = [masks_within(band.bits, k, max(k, 0)) for band, k in zip(bands, last, strict=True)]
    masks = [part for parts in zip(both, one, strict=True) for part in parts]
    borders = np.cumsum([0, *map(len, masks)], dtype=np.int64)
    starts, both_stops = borders[::2].copy(), borders[1::2].copy()
    probes = _read_only(Probes(np.concatenate(masks), starts, both_stops, np.array(thresholds), word_radii, lowered))
    entries = sum(half.entries for half in halves) / 2
    candidates = sum(half.candidates for half in halves) / 2
    most = max(_CANDIDATES_SHARE * brute_force_ns / costs.candidate_ns, 2 * candidates, _FEWEST_CANDIDATES)
    most_candidates = min(round(most), _MOST_CANDIDATES)

    left_ns = _ENTRIES_SHARE * brute_force_ns - len(probes.masks) * costs.probe_ns
    limits = Limits(
        entries=max(0, round(left_ns / costs.entry_ns)),
        # So few entries have not too many candidates.
        unsampled=max(most_candidates, round(_UNSAMPLED_SHARE * brute_force_ns / costs.entry_ns)),
        candidates=most_candidates,
    )
    expected = Work(len(probes.masks), entries, candidates)
    return Plan(thresholds, probes, limits, expected, expected.cost_ns(costs))


def _look_ns(probes: Probes) -> float:
    """Return the time to locate the buckets of a query, and to sample them."""
    used, count = np.count_nonzero(np.diff(probes.starts)), len(probes.masks)
    return _TABLE_NS * used + _BORDERS_NS * count + _SAMPLE_NS * min(count, SAMPLES)


def _read_only(probes: Probes) -> Probes:
    """Protect the arrays: Numba compiles anew for those that may be written."""
    for array in probes[:5]:
        array.flags.writeable = False
    return probes


def _cheapest_sums(firsts: _Choices, seconds: _Choices, limit: int) -> _Choices:
    """Combine choices of two parts: for each sum up to the limit, the cheapest pair."""
    best: _Choices = {}
    for a, (first_cost, first) in firsts.items():
        for b, (second_cost, second) in seconds.items():
            cost = first_cost + second_cost
            if a + b <= limit and (a + b not in best or cost < best[a + b][0]):
                best[a + b] = cost, first + second
    return best
