import math

import numpy as np
import pytest

from nearhash_index.distance_tail import TailModel

BITS = 64
UNIFORM = np.array([math.comb(BITS, d) / 2**BITS for d in range(BITS + 1)])


def binomial(bits: int, fair: float, step: int = 1) -> np.ndarray:
    """Return P(d) of a hash whose bits come in groups of `step` equal ones, by distance 0, step, 2 step, ..."""
    n = bits // step
    return np.array([math.comb(n, k) * fair**k * (1 - fair) ** (n - k) for k in range(n + 1)])


def fitted(share: np.ndarray, first: int, last: int, odd_share: float = 0.5, pairs: float = 1e9):
    exposure = np.full(len(share), pairs)
    return TailModel(len(share) - 1, odd_share).fit(share * exposure, exposure, first, last)


def test_fair_bits_are_found_to_be_fair_far_below_what_was_counted():
    fit = fitted(UNIFORM, 10, 30)
    assert fit.effective_bits == pytest.approx(64, rel=1e-3)
    assert fit.share[:31] == pytest.approx(UNIFORM[:31], rel=0.02)


def test_unfair_bits_are_a_binomial_too():
    share = binomial(BITS, 0.35)
    fit = fitted(share, 8, 24)
    assert fit.share[:25] == pytest.approx(share[:25], rel=0.03)


def test_dependent_bits_are_worth_fewer():
    """Bits in groups of four: the distance is four times that of a quarter of the bits, blurred a little."""
    groups = binomial(BITS * 4, 0.5, 4)
    share = np.interp(np.arange(257), np.arange(0, 257, 4), np.log(groups))
    share = np.exp(share) / np.exp(share).sum()
    fit = fitted(share, 40, 100)
    assert 50 <= fit.effective_bits <= 75
    ratio = np.log(fit.share[20:40] / share[20:40])
    assert np.abs(ratio).max() < math.log(2)


def test_hashes_without_odd_distances_get_none():
    share = np.where(np.arange(BITS + 1) % 2, 0, 2 * UNIFORM)
    fit = fitted(share, 10, 30, odd_share=0.0)
    assert fit.share[:31:2] == pytest.approx(share[:31:2], rel=0.02)
    assert fit.share[1:31:2].sum() < 1e-9 * fit.share.sum()


def test_the_tangent_bounds_the_model_from_above_and_touches_it():
    model = TailModel(BITS, 0.5)
    exposure = np.full(BITS + 1, 1e9)
    fit = model.fit(UNIFORM * exposure, exposure, 10, 30)
    bound = model.straightened(fit, 12)
    assert bound[12:] == pytest.approx(fit.share[12:])
    assert bound[11] / fit.share[11] > 1
    assert (np.diff(bound[:12] / fit.share[:12]) < 0).all()
    assert bound[:11] / bound[1:12] == pytest.approx(bound[0] / bound[1])


def test_counts_of_zero_are_no_error():
    fit = fitted(np.where(np.arange(BITS + 1) < 20, 0, UNIFORM), 14, 34, pairs=2500.0)
    assert np.isfinite(fit.log_share).all()
    assert fit.share[30] == pytest.approx(UNIFORM[30], rel=0.3)
