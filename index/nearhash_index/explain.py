"""How an index answers queries of a given radius, for operators and benchmarks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nearhash_index.bands import Band

__all__ = ["Explanation"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The way of a query, and what it is expected to cost.

    Attributes
    ----------
    path : str
        "tables" or "brute force". A query that meets buckets much larger than expected goes on to brute force.
    bands : tuple of Band
        One per table, whether or not the radius makes use of it.
    thresholds : tuple of int
        By table: how many bits of the band are flipped at most; -1 where the table is not read. Empty for brute force.
    expected_probes, expected_candidates : float
        Band values looked up per query, and codes found there. For brute force, no probes and every code.
    expected_us : float
        Time per query in a batch, on one thread.
    bytes_per_hash : mapping of str to float
        Size of each array, divided by the number of codes given to `build`.
    """

    radius: int
    path: str
    bands: tuple[Band, ...]
    thresholds: tuple[int, ...]
    expected_probes: float
    expected_candidates: float
    expected_us: float
    bytes_per_hash: Mapping[str, float]
