"""Estimates of lists whose truth is known: by a formula, or by looking many unrelated hashes up."""

from math import comb

import numpy as np
import pytest

from nearhash_index.errors import InvalidInput
from nearhash_index.estimate import MatchEstimate, estimate_matches, uniform_matches
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.index import Index

PHASH, PDQ = HASH_TYPES["phash64"], HASH_TYPES["pdq256"]


def uniform(rng: np.random.Generator, n: int, words: int = 1) -> np.ndarray:
    return rng.integers(0, 2**64, (n, words), dtype=np.uint64)


def skewed(rng: np.random.Generator, n: int, mixing: np.ndarray) -> np.ndarray:
    """Hashes of images that differ in few ways: signs of mixtures of hidden traits, and noise."""
    traits, bits = mixing.shape
    values = rng.standard_normal((n, traits)) @ mixing + rng.standard_normal((n, bits))
    return np.packbits(values > 0, axis=1).view(np.uint64)


def flipped(rng: np.random.Generator, codes: np.ndarray, most: int) -> np.ndarray:
    """Copies with up to so many bits flipped."""
    copies = codes.copy()
    for row in copies:
        for bit in rng.choice(64 * len(row), rng.integers(0, most + 1), replace=False).tolist():
            row[bit // 64] ^= np.uint64(1 << bit % 64)
    return copies


def estimated(codes: np.ndarray, hash_type, entry: np.ndarray | None = None) -> MatchEstimate:
    entry = np.arange(len(codes)) if entry is None else entry
    return estimate_matches(Index.build(codes), entry, hash_type, budget_s=20)


def test_of_fair_bits_the_formula_is_met_at_every_radius():
    estimate = estimated(uniform(np.random.default_rng(1), 20_000), PHASH)
    truth = uniform_matches(64, 20_000)
    assert truth[8] == pytest.approx(5.56, rel=0.01)
    assert estimate.matches[:21] == pytest.approx(truth[:21], rel=0.35)
    assert ((estimate.low <= truth) & (truth <= estimate.high))[:21].all()
    assert estimate.effective_bits == pytest.approx(64, rel=0.1)
    assert estimate.copies_radius == -1
    assert not estimate.many_alike
    assert estimate.counted[4] == 0
    assert estimate.counted[16] > 0.9
    assert (np.diff(estimate.matches) >= 0).all()


@pytest.fixture(scope="module")
def images() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Skewed hashes of a list; others, unrelated; and the truth, matches per million by radius 0 to 12."""
    rng = np.random.default_rng(2)
    mixing = rng.standard_normal((16, 64)) * 0.3
    listed, others = skewed(rng, 30_000, mixing), skewed(rng, 100_000, mixing)
    distance = Index.build(listed).search(others, 12).distance
    return listed, others, np.bincount(distance, minlength=13).cumsum() / len(others) * 1e6


def check_skewed(estimate: MatchEstimate, truth: np.ndarray, hash_count: int) -> None:
    common = truth > 200
    assert common.sum() >= 6
    assert (truth > 30 * uniform_matches(64, hash_count)[:13])[common].all()
    assert np.abs(np.log(estimate.matches[:13] / np.maximum(truth, 1)))[common].max() < np.log(2)
    assert (estimate.high[:13] >= 0.7 * truth)[common].all()
    assert (estimate.low[:13] <= 1.3 * truth)[common].all()
    assert 20 < estimate.effective_bits < 60


def test_of_skewed_hashes_what_unrelated_ones_match_is_told(images):
    listed, _, truth = images
    estimate = estimated(listed, PHASH)
    check_skewed(estimate, truth, len(listed))
    assert estimate.copies_radius == -1


def test_copies_in_the_list_are_told_from_random_matches(images):
    listed, others, _ = images
    rng = np.random.default_rng(3)
    copies = flipped(rng, listed[rng.integers(0, len(listed), 10_000)], 3)
    codes = rng.permutation(np.concatenate([listed, copies]))
    estimate = estimated(codes, PHASH)
    distance = Index.build(codes).search(others, 12).distance
    truth = np.bincount(distance, minlength=13).cumsum() / len(others) * 1e6
    check_skewed(estimate, truth, len(codes))
    assert 3 <= estimate.copies_radius <= 8
    assert not estimate.many_alike
    # The list's own images find their copies.
    assert estimate.list_matches[3] > 300_000
    assert estimate.matches[3] < 100


def test_images_that_look_alike_are_not_taken_for_copies():
    """A tenth of the images are of 20 kinds, as pages of text are; nobody has copied them."""
    rng = np.random.default_rng(8)
    kinds = uniform(rng, 20)

    def some(n: int) -> np.ndarray:
        codes = uniform(rng, n)
        alike = kinds[rng.integers(0, 20, n // 10)]
        noise = np.packbits(rng.random((n // 10, 64)) < 0.12, axis=1).view(np.uint64)
        codes[: n // 10] = alike ^ noise
        return rng.permutation(codes)

    listed, others = some(20_000), some(50_000)
    truth = np.bincount(Index.build(listed).search(others, 12).distance, minlength=13).cumsum() / 50_000 * 1e6
    estimate = estimated(listed, PHASH)
    assert estimate.many_alike
    assert truth[8] > 1000 * uniform_matches(64, 20_000)[8]
    assert estimate.matches[4:13] == pytest.approx(truth[4:13], rel=0.5)
    assert ((estimate.low[4:13] <= truth[4:13]) & (truth[4:13] <= 1.2 * estimate.high[4:13])).all()
    # They may be copies, for all that can be known.
    assert estimate.low[8] == 0
    assert 0 < estimate.high[0] < 1000


def test_hashes_of_one_entry_are_not_compared(images):
    listed, _, _ = images
    codes = np.repeat(listed[:2000], 2, axis=0)
    assert estimated(codes, PHASH).list_matches[0] == pytest.approx(1e6, rel=0.01)
    assert estimated(codes, PHASH, np.arange(4000) // 2).list_matches[0] == 0


def test_of_hashes_with_half_their_bits_set_there_are_even_distances_only():
    rng = np.random.default_rng(4)
    values = rng.random((20_000, 64))
    codes = np.packbits(values > np.median(values, axis=1, keepdims=True), axis=1).view(np.uint64)
    estimate = estimated(codes, PHASH)
    assert estimate.matches[13] == pytest.approx(estimate.matches[12], rel=1e-3)
    # k of the 32 set bits, and as many of the clear ones, change places.
    share = np.array([comb(32, k) ** 2 / comb(64, 32) for k in range(11)])
    assert estimate.matches[2:21:2] == pytest.approx(share.cumsum()[1:] * 20_000 * 1e6, rel=0.5)


def test_of_pdq_the_random_matches_at_its_radius_are_none():
    estimate = estimated(uniform(np.random.default_rng(5), 5000, 4), PDQ)
    assert estimate.matches[31] < estimate.high[31] < 1e-6
    assert estimate.matches[100] == pytest.approx(uniform_matches(256, 5000)[100], rel=0.2)


@pytest.mark.parametrize(
    ("count", "name", "told"),
    [
        (99, "phash64", "bank: it has 99 phash64 hashes; an estimate needs 100"),
        (200, "md5", "hash_type: md5 is a digest"),
    ],
)
def test_what_cannot_be_estimated_is_refused(count, name, told):
    hash_type = HASH_TYPES[name]
    codes = uniform(np.random.default_rng(6), count, hash_type.words)
    with pytest.raises(InvalidInput, match=told):
        estimated(codes, hash_type)


def test_a_hundred_hashes_are_enough_for_an_interval():
    estimate = estimated(uniform(np.random.default_rng(7), 100), PHASH)
    truth = uniform_matches(64, 100)
    assert ((estimate.low <= truth) & (truth <= estimate.high))[6:21].all()
