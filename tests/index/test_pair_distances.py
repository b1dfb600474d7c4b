import numpy as np
import pytest

from nearhash_index.index import Index
from nearhash_index.pair_distances import PairDistances, all_pairs, searched_pairs

CODES = np.random.default_rng(3).integers(0, 2**64, (300, 1), dtype=np.uint64)
ENTRY = np.arange(300) // 3
DISTANCE = np.bitwise_count(CODES ^ CODES.T).astype(np.int64)
DIFFERENT = ENTRY[:, None] != ENTRY


def test_all_pairs_compares_the_first_half_with_the_second():
    pairs = all_pairs(CODES, ENTRY, np.random.default_rng(1))
    order = np.random.default_rng(1).permutation(300)
    rows, others = order[:150], order[150:]
    different = DIFFERENT[np.ix_(rows, others)]
    expected = np.bincount(DISTANCE[np.ix_(rows, others)][different], minlength=65)
    assert pairs.counts(64).tolist() == expected.tolist()
    assert pairs.exposure == different.sum() < 150 * 150
    assert pairs.query_count == 150


def test_a_search_finds_the_pairs_within_the_radius():
    pairs = searched_pairs(Index.build(CODES), CODES, ENTRY, 25, budget_s=60, rng=np.random.default_rng(2))
    rows = np.random.default_rng(2).permutation(300)[:150]
    near = DIFFERENT[rows] & (DISTANCE[rows] <= 25)
    assert near.sum() > 100
    assert pairs.counts(64).tolist() == np.bincount(DISTANCE[rows][near], minlength=65).tolist()
    assert (pairs.query_count, pairs.exposure) == (150, 150 * 300)
    of_query = np.bincount(pairs.query, weights=pairs.count, minlength=150)
    assert of_query.tolist() == near.sum(axis=1).tolist()


def test_a_search_without_time_left_still_searches_one_batch():
    pairs = searched_pairs(Index.build(CODES), CODES, ENTRY, 25, budget_s=0, rng=np.random.default_rng(2))
    assert (pairs.query_count, pairs.exposure) == (64, 64 * 300)


def test_a_bootstrap_sample_draws_queries_whole():
    # One query with ten pairs at distance 3, and one with one at 5.
    pairs = PairDistances(np.array([0, 1]), np.array([3, 5]), np.array([10, 1]), query_count=2, exposure=100.0)
    rng = np.random.default_rng(4)
    drawn = np.array([pairs.resampled(8, rng) for _ in range(2000)])
    assert set(drawn[:, 3] % 10) == {0}
    assert drawn[:, 3].mean() == pytest.approx(10, rel=0.1)
    assert drawn[:, 5].mean() == pytest.approx(1, rel=0.1)
    assert drawn[:, [0, 1, 2, 4, 6, 7, 8]].max() == 0
