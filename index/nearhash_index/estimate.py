"""How many random matches to expect from a list at each radius, estimated from the list itself.

The images of a list stand in for uploads that have nothing to do with it: it is counted how often different images of
the list lie within each distance of each other. Two things stand in the way:

- A list has copies of the same image, under several entries. Pairs of copies pile up at small distances, above what the
  distances farther up lead to expect. From where they do, nothing counted is used. But copies lie within the type's
  default radius: if there are more pairs than expected beyond it, many images look alike to the hash, and match at
  random. Then copies cannot be told from them, and all pairs count.
- At the radii in use, random matches are too rare to be counted. What is below the smallest distances counted is
  extrapolated; see distance_tail.py.

What it cannot know: whether images that look alike to a hash (pages of text, logos) are more common among uploads than
in the list. A trial, with matches observed and not acted on, tells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nearhash_index.distance_tail import TailFit, TailModel
from nearhash_index.errors import InvalidInput
from nearhash_index.hash_types import HashType
from nearhash_index.index import Index
from nearhash_index.pair_distances import PairDistances, all_pairs, searched_pairs

__all__ = ["MIN_HASHES", "MatchEstimate", "estimate_matches", "uniform_matches"]

MIN_HASHES = 100
"""Fewer make too few pairs."""
_MILLION = 1e6
_ENOUGH = 30
"""Pairs at a distance from which their count is used instead of the model."""
_FEW = 0.01
"""The low end of the distances is where there are at most so many pairs, beside the commonest distance."""
_MORE_DISTANCES = 24
"""The model is fitted to that end and so many distances above it."""
_BOOTSTRAPS = 200
_INTERVAL = (2.5, 97.5)
_LEAST_ERROR = 0.1
"""Uploads are never quite like the list: no interval is narrower than this, either way; ..."""
_LEAST_ERROR_OF_MODEL = 0.5
"""... and what is extrapolated may be as much too high."""


@dataclass(frozen=True, slots=True)
class MatchEstimate:
    """Expected matches per million lookups of unrelated images; arrays are by radius, 0 to the hash's width.

    Attributes
    ----------
    hash_count : int
        n, the bank's hashes of the type.
    effective_bits : float
        How many independent, fair bits a hash is worth, as far as small distances go.
    copies_radius : int
        Up to this distance, inclusive, pairs are taken for copies of one image; -1: there are none.
    many_alike : bool
        Whether many images look alike to the hash. Then copies cannot be told from them, and all pairs are counted.
    matches : float64[bits + 1]
        Entries matched per million lookups.
    low, high : float64[bits + 1]
        Interval of 95 %: of sampling, and above that of extrapolation.
    counted : float64[bits + 1]
        Share of `matches` that was counted; the rest is extrapolated.
    list_matches : float64[bits + 1]
        Matches with other entries per million lookups of the list's own images, copies included.
    uniform : float64[bits + 1]
        What fair, independent bits would lead to expect.
    """

    hash_count: int
    effective_bits: float
    copies_radius: int
    many_alike: bool
    matches: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    counted: NDArray[np.float64]
    list_matches: NDArray[np.float64]
    uniform: NDArray[np.float64]


def estimate_matches(
    index: Index, entry: NDArray[np.int64], hash_type: HashType, *, budget_s: float = 5.0, seed: int = 0
) -> MatchEstimate:
    """Estimate the random matches of a list, at all radii at once.

    Parameters
    ----------
    index : Index
        Of the n hashes of a bank.
    entry : int64[n]
        A number for the entry of each; hashes of one entry are not compared.
    hash_type : HashType
        A perceptual one.
    budget_s : float
        About how long to count, on one thread.

    Raises
    ------
    InvalidInput
        If there are fewer than `MIN_HASHES` hashes, or the hash type is a digest.
    """
    if not hash_type.perceptual:
        raise InvalidInput("hash_type", f"{hash_type.name} is a digest, of which no two files are known to share one")
    if len(index) < MIN_HASHES:
        raise InvalidInput("bank", f"it has {len(index)} {hash_type.name} hashes; an estimate needs {MIN_HASHES}")
    rng = np.random.default_rng(seed)
    codes = index.codes()
    everywhere = all_pairs(codes, entry, rng)
    rough = _Tail(hash_type, [(everywhere, hash_type.bits)])
    # There a hash has about one random neighbour: the most informative radius that is still cheap.
    radius = int(np.searchsorted(rough.shares().cumsum(), 1 / len(index)))
    nearby = searched_pairs(index, codes, entry, radius, budget_s=budget_s, rng=rng)
    return _estimate(_Tail(hash_type, [(everywhere, hash_type.bits), (nearby, radius)]), len(index), rng)


def uniform_matches(bits: int, hash_count: int) -> NDArray[np.float64]:
    """Return the expected matches per million lookups by radius, float64[bits + 1], of fair and independent bits."""
    share = [math.comb(bits, distance) / 2**bits for distance in range(bits + 1)]
    return np.cumsum(share) * hash_count * _MILLION


class _Tail:
    """The distances of unrelated pairs: counted where there are enough, and modelled.

    Parameters
    ----------
    hash_type : HashType
    samples : sequence of (PairDistances, int)
        With the radius within which each tells of all pairs.

    Attributes
    ----------
    first : int
        Below it, pairs are taken for copies.
    effective_bits : float
    copies_end : int
        Copies are at most so far apart.
    many_alike : bool
        Whether there are more pairs than expected beyond: of images which look alike.
    counts, exposure : float64[bits + 1]
        Pairs at each distance, of so many.
    use_counts : bool[bits + 1]
        Distances at which the counts are good enough.
    fit : TailFit
    """

    def __init__(self, hash_type: HashType, samples: Sequence[tuple[PairDistances, int]]) -> None:
        bits = self.bits = hash_type.bits
        self._samples = samples
        self.exposure = np.zeros(bits + 1)
        for pairs, radius in samples:
            self.exposure[: radius + 1] += pairs.exposure
        self.counts = np.sum([pairs.counts(bits) for pairs, _ in samples], axis=0)
        widest = samples[0][0].counts(bits)
        self.model = TailModel(bits, float(widest[1::2].sum() / widest.sum()))
        start = _tail_start(widest)
        self._last = min(start + _MORE_DISTANCES, bits)
        self.first = self._find_first(start)
        fit = self._fit(self.counts)
        self.effective_bits = fit.effective_bits
        self.copies_end = hash_type.default_radius
        self.many_alike = self.first > self.copies_end + 1
        if self.many_alike:
            self.first = 0
        self.use_counts = self.many_alike | (self.counts >= _ENOUGH) & (np.arange(bits + 1) >= self.first)
        self.fit = fit if self.many_alike else self._fit(self.counts)

    def shares(self) -> NDArray[np.float64]:
        """Return the share of pairs at each distance."""
        return np.where(self.use_counts, self.counts / self.exposure, self.fit.share)

    def resampled_shares(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return the shares of a bootstrap sample."""
        counts = np.sum([pairs.resampled(self.bits, rng) for pairs, _ in self._samples], axis=0)
        fit = self.fit if self.many_alike else self._fit(counts)
        return np.where(self.use_counts, counts / self.exposure, fit.share)

    def bound(self) -> NDArray[np.float64]:
        """Return a bound of the shares from above, as far as extrapolation goes."""
        if self.many_alike:
            # Where none was seen there may be three, with 95 % certainty.
            unseen = np.where(np.arange(self.bits + 1) == 0, 3 / self.exposure, 0.0)
            return np.asarray(self.shares() + unseen)
        lowest = int(np.argmax(self.use_counts))
        return np.where(self.use_counts, self.counts / self.exposure, self.model.straightened(self.fit, lowest))

    def _find_first(self, start: int) -> int:
        """Go down from where random pairs abound, to where there are more than these lead to expect.

        Two distances at a time, an even and an odd one, since some hashes have no odd ones.
        """
        first = start
        while first > 0:
            below = np.arange(max(first - 2, 0), first)
            fit = self.model.fit(self.counts, self.exposure, first, self._last)
            expected = float((fit.share * self.exposure)[below].sum())
            if self.counts[below].sum() > expected + 4 * math.sqrt(expected + (0.3 * expected) ** 2) + 3:
                break
            first = int(below[0])
        return first

    def _fit(self, counts: NDArray[np.float64]) -> TailFit:
        return self.model.fit(counts, self.exposure, self.first, self._last)


def _tail_start(counts: NDArray[np.float64]) -> int:
    """Return the distance, below that of most pairs, from which on there are few."""
    smooth = counts[:-1] + counts[1:]
    common = int(np.argmax(smooth))
    few = np.flatnonzero(smooth[:common] <= _FEW * smooth[common])
    return int(few[-1]) if len(few) else 0


def _estimate(tail: _Tail, hash_count: int, rng: np.random.Generator) -> MatchEstimate:
    def per_million(shares: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(shares.cumsum() * hash_count * _MILLION)

    matches = per_million(tail.shares())
    resampled = [per_million(tail.resampled_shares(rng)) for _ in range(_BOOTSTRAPS)]
    low, high = np.percentile(resampled, _INTERVAL, axis=0)
    counted = per_million(np.where(tail.use_counts, tail.shares(), 0.0))
    if tail.many_alike:
        # Close pairs may be copies all the same.
        low = np.minimum(low, per_million(np.where(np.arange(tail.bits + 1) > tail.copies_end, tail.shares(), 0.0)))
    return MatchEstimate(
        hash_count=hash_count,
        effective_bits=tail.effective_bits,
        many_alike=tail.many_alike,
        copies_radius=tail.first - 1 if tail.counts[: tail.first].any() else -1,
        matches=matches,
        low=np.minimum(low, counted * (1 - _LEAST_ERROR) + (matches - counted) * (1 - _LEAST_ERROR_OF_MODEL)),
        high=np.maximum.reduce([high, per_million(tail.bound()), matches * (1 + _LEAST_ERROR)]),
        counted=counted / np.maximum(matches, np.finfo(np.float64).tiny),
        list_matches=per_million(tail.counts / tail.exposure),
        uniform=uniform_matches(tail.bits, hash_count),
    )
