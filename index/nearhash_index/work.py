"""What a query has to touch in the tables, and what that costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from numpy.typing import NDArray

__all__ = ["SAMPLES", "Costs", "Work", "table_work"]

SAMPLES = 24
"""Places in its buckets at which a query is looked at, to foretell how many candidates it has."""

_ENTRY_BITS = 32


@dataclass(frozen=True, slots=True)
class Costs:
    """Times of a search of the tables, in nanoseconds.

    Attributes
    ----------
    probe_ns : float
        For each value of a band looked up, without its codes.
    entry_ns : float
        For each code at such a value.
    candidate_ns : float
        For each code compared in full.
    """

    probe_ns: float
    entry_ns: float
    candidate_ns: float


class Work(NamedTuple):
    """Expected numbers per query of band values looked up, codes there, and codes of these compared in full."""

    probes: float
    entries: float
    candidates: float

    def cost_ns(self, costs: Costs) -> float:
        """Return the expected time of a query."""
        return self.probes * costs.probe_ns + self.entries * costs.entry_ns + self.candidates * costs.candidate_ns


def table_work(bits: int, threshold: int, bucket_sizes: Sequence[float] | NDArray[Any], word_radius: int) -> Work:
    """Return the work in one table.

    Parameters
    ----------
    bits : int
        Width of the band.
    bucket_sizes : float[at least threshold + 1]
        Codes expected at a band value 0, 1, ... bits away from that of the query.
    word_radius : int
        Bound to the distance in the band's word.
    """
    probes = entries = candidates = 0.0
    for flips in range(threshold + 1):
        values = math.comb(bits, flips)
        probes += values
        entries += values * bucket_sizes[flips]
        candidates += values * bucket_sizes[flips] * _chance_to_pass(word_radius - flips)
    return Work(probes, entries, candidates)


@cache
def _chance_to_pass(bound: int) -> float:
    """Return the chance that an entry of random bits differs in at most `bound`."""
    near = sum(math.comb(_ENTRY_BITS, ones) for ones in range(min(bound, _ENTRY_BITS) + 1))
    return float(near / 2**_ENTRY_BITS)
