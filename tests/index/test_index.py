from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearhash_index import Index, Matches, calibration, reference
from nearhash_index.errors import InvalidInput
from nearhash_index.work import Costs

from .cases import WIDTHS, all_cases, flip_bits, random_codes


def assert_same(found: Matches, expected: Matches, note: str) -> None:
    for name in ("query", "row", "distance"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=f"{note}: {name}")


@pytest.mark.parametrize("words", WIDTHS)
def test_every_case_is_answered_like_the_oracle(words: int) -> None:
    pairs = 0
    for case in all_cases(words):
        index = Index.build(case.codes)
        for radius in (0, 1, 7, 8, 9, 11, 12, 31, 32, 64 * words):
            expected = reference.search(case.codes, case.queries, radius)
            assert_same(index.search(case.queries, radius), expected, f"{case.name}, radius {radius}")
            pairs += len(case.codes) * len(case.queries)
    assert pairs > 2_500_000


@pytest.mark.parametrize("words", WIDTHS)
def test_every_radius_is_answered_like_the_oracle(words: int) -> None:
    rng = np.random.default_rng(words)
    codes = random_codes(rng, 300, words)
    queries = np.concatenate([flip_bits(rng, codes[:4], 3), ~codes[:1]])
    index = Index.build(codes)
    for radius in range(64 * words + 1):
        assert_same(index.search(queries, radius), reference.search(codes, queries, radius), f"radius {radius}")


@pytest.mark.parametrize("words", WIDTHS)
@pytest.mark.parametrize("radius", [0, 1, 8, 10, 31, 40])
def test_present_at_the_radius_and_absent_one_beyond(words: int, radius: int) -> None:
    rng = np.random.default_rng(radius)
    codes = random_codes(rng, 20_000, words)
    rows = rng.integers(0, len(codes), 40)
    index = Index.build(codes)
    at = index.search(flip_bits(rng, codes[rows], radius), radius)
    assert {(q, int(rows[q]), radius) for q in range(40)} <= set(zip(at.query, at.row, at.distance, strict=True))
    beyond = index.search(flip_bits(rng, codes[rows], radius + 1), radius)
    assert not {(q, int(rows[q])) for q in range(40)} & set(zip(beyond.query, beyond.row, strict=True))


@pytest.mark.parametrize("words", WIDTHS)
def test_codes_larger_than_many_blocks(words: int) -> None:
    rng = np.random.default_rng(9)
    codes = random_codes(rng, 100_003, words)
    queries = flip_bits(rng, codes[[0, 1, 50_000, 100_002]], 8)
    for radius in (8, 12):
        assert_same(Index.build(codes).search(queries, radius), reference.search(codes, queries, radius), "large")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_codes_and_radius(data: st.DataObject) -> None:
    words = data.draw(st.sampled_from(WIDTHS))
    few = st.sampled_from([0, 1, 3, 0xFF, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1)
    shape = st.tuples(st.integers(0, 40), st.just(words))
    codes = data.draw(hnp.arrays(np.uint64, shape, elements=few))
    queries = data.draw(hnp.arrays(np.uint64, shape, elements=few))
    radius = data.draw(st.integers(0, 64 * words))
    assert_same(Index.build(codes).search(queries, radius), reference.search(codes, queries, radius), "drawn")


def test_opens_over_stored_arrays_without_copying() -> None:
    codes = random_codes(np.random.default_rng(3), 500, 2)
    built = Index.build(codes)
    opened = Index.open(built.arrays())
    assert len(opened) == 500
    assert opened.words == 2
    for name, array in built.arrays().items():
        assert array.size == 0 or np.shares_memory(array, opened.arrays()[name])
    assert_same(opened.search(codes[:5], 3), built.search(codes[:5], 3), "opened")


@pytest.mark.parametrize("words", [1, 4])
def test_large_collections_are_searched_by_tables(words: int) -> None:
    rng = np.random.default_rng(10)
    codes = random_codes(rng, 200_000, words)
    codes[1000:1100] = codes[:1]
    planned = 8 if words == 1 else 31
    index = Index.build(codes, threads=2)
    assert index.explain(planned).path == "tables"
    rows = rng.integers(0, len(codes), 8)
    for radius in (0, 1, planned - 1, planned, planned + 1, planned + 3):
        queries = np.concatenate(
            [flip_bits(rng, codes[rows], radius), flip_bits(rng, codes[rows], radius + 1), codes[:1]]
        )
        expected = reference.search(codes, queries, radius)
        assert_same(index.search(queries, radius), expected, f"radius {radius}")
        many = np.tile(queries, (100, 1))
        assert_same(index.search(many, radius, threads=3), index.search(many, radius), f"radius {radius}, 3 threads")


@pytest.mark.parametrize("words", WIDTHS)
@pytest.mark.parametrize("threads", [2, 3, 64])
def test_a_lone_query_is_shared_out_by_tables(words: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Planned for a machine that is not busy, wherever this runs.
    monkeypatch.setattr(calibration, "brute_force_ns", lambda words, _radius: 0.05 * words)
    monkeypatch.setattr(calibration, "table_costs", lambda _size_bytes: Costs(5.0, 0.08, 7.0))
    monkeypatch.setattr("nearhash_index.index._LEAST_NS_PER_THREAD", 1)
    rng = np.random.default_rng(words)
    codes = random_codes(rng, 120_000, words)
    # Some codes in many tables' buckets at once, so that each match must still be reported once.
    codes[:3000] = flip_bits(rng, np.repeat(codes[:1], 3000, axis=0), 3)
    index = Index.build(codes, radius=8)
    for radius in (0, 5, 8):
        assert index.explain(radius).path == "tables"
        for query in (codes[:1], flip_bits(rng, codes[5000:5001], radius), random_codes(rng, 1, words)):
            expected = reference.search(codes, query, radius)
            assert_same(index.search(query, radius, threads=threads), expected, f"radius {radius}")


def test_brute_force_on_threads_gives_the_same_answer() -> None:
    rng = np.random.default_rng(11)
    codes = random_codes(rng, 600_000, 1)
    index = Index.build(codes)
    queries = flip_bits(rng, codes[[0, 299_999, 300_000, 599_999]], 20)
    assert index.explain(20).path == "brute force"
    assert_same(index.search(queries, 20, threads=4), index.search(queries, 20), "threads")
    assert_same(index.search(queries, 20, threads=4), reference.search(codes, queries, 20), "oracle")


def test_an_adversarial_list_is_left_to_brute_force() -> None:
    """All codes share the values of all bands but for a few bits, so that the tables rule nothing out."""
    rng = np.random.default_rng(12)
    codes = random_codes(rng, 300_000, 1) & np.uint64(0x003F_003F_003F_003F)
    index = Index.build(codes)
    assert index.explain(8).path == "brute force"
    queries = flip_bits(rng, codes[:5], 8)
    assert_same(index.search(queries, 8), reference.search(codes, queries, 8), "adversarial")


def test_a_large_cluster_in_a_large_list_is_answered_exactly() -> None:
    """Queries near it are refused by the tables and go on to brute force; others are not."""
    rng = np.random.default_rng(13)
    codes = random_codes(rng, 400_000, 1)
    codes[:50_000] = (codes[0] & np.uint64(0xFFFF_FFFF_0000_0000)) | (codes[:50_000] & np.uint64(0x3FFF))
    index = Index.build(codes)
    queries = np.concatenate([flip_bits(rng, codes[:4], 3), flip_bits(rng, codes[100_000:100_004], 8)])
    assert_same(index.search(queries, 8), reference.search(codes, queries, 8), "cluster")


def test_explains_what_it_does() -> None:
    codes = random_codes(np.random.default_rng(14), 300_000, 1)
    index = Index.build(codes)
    told = index.explain(8)
    assert told.path == "tables"
    assert sum(told.thresholds) + len(told.thresholds) == 9
    assert len(told.bands) == len(told.thresholds)
    assert 0 < told.expected_probes < told.expected_candidates < len(codes) / 10
    assert 8 < sum(told.bytes_per_hash.values()) <= 64
    far = index.explain(40)
    assert (far.path, far.thresholds, far.expected_candidates) == ("brute force", (), 300_000)
    index.warm([8])
    with pytest.raises(InvalidInput, match="radius: 65"):
        index.explain(65)


@pytest.mark.parametrize("words", [1, 4])
def test_counts_the_candidates_that_a_query_meets(words: int) -> None:
    rng = np.random.default_rng(15)
    codes = random_codes(rng, 200_000, words)
    codes[:5000] = codes[0]
    codes[:5000, 0] ^= np.arange(5000, dtype=np.uint64)
    radius = 8 if words == 1 else 31
    index = Index.build(codes, threads=2)
    expected = index.explain(radius).expected_candidates
    met = [index.count_candidates(query[None], radius) for query in random_codes(rng, 200, words)]
    assert 0.5 * expected < np.mean(met) < 1.5 * expected
    # Near many codes that share most bands with it, a query meets them over and over.
    assert index.count_candidates(codes[:1], radius) > max(5000, *met)
    assert index.count_candidates(codes[:1], 20 * words) == 200_000


def test_threads_may_share_an_index() -> None:
    rng = np.random.default_rng(4)
    codes = random_codes(rng, 30_000, 1)
    index = Index.build(codes)
    batches = [flip_bits(rng, codes[i : i + 20], 8) for i in range(0, 400, 20)]
    with ThreadPoolExecutor(4) as pool:
        for batch, found in zip(batches, pool.map(lambda b: index.search(b, 8), batches), strict=True):
            assert_same(found, reference.search(codes, batch, 8), "threads")


def test_the_index_does_not_follow_changes_of_the_array_it_was_built_from() -> None:
    codes = random_codes(np.random.default_rng(5), 10, 4)
    index = Index.build(codes)
    query = codes[:1].copy()
    codes[:] = 0
    assert index.search(query, 0).row.tolist() == [0]


@pytest.mark.parametrize(
    ("queries", "radius", "message"),
    [
        (np.zeros((1, 2), np.uint64), 8, "queries: codes of 2 words; this index holds codes of 1"),
        (np.zeros((1, 1), np.int64), 8, "queries: int64"),
        (np.zeros(1, np.uint64), 8, "queries: uint64"),
        (np.zeros((1, 1), np.uint64), 65, "radius: 65 is out of range; use 0 to 64"),
        (np.zeros((1, 1), np.uint64), -1, "radius: -1 is out of range; use 0 to 64"),
    ],
)
def test_bad_input_is_named(queries: np.ndarray, radius: int, message: str) -> None:
    index = Index.build(np.zeros((3, 1), np.uint64))
    with pytest.raises(InvalidInput, match=message):
        index.search(queries, radius)
