"""The tables, searched whatever the planner would say, so that small collections test them, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearhash_index import Matches, reference, tables
from nearhash_index.bands import Band, equal_bands
from nearhash_index.codes import Codes
from nearhash_index.plan import MAX_THRESHOLD, Limits, Plan, plan_with
from nearhash_index.planes import planes_of
from nearhash_index.unique import collapse
from nearhash_index.work import Costs

from .cases import WIDTHS, all_cases, flip_bits, random_codes
from .test_index import assert_same

COSTS = Costs(probe_ns=1, entry_ns=1, candidate_ns=1)
UNLIMITED_NS = 1e12


def some_bands(words: int) -> list[list[Band]]:
    return [
        equal_bands(words, 4, 6),
        equal_bands(words, 3, 9),
        equal_bands(words, 4, 15),
        equal_bands(words, 4, 16),
        [Band(0, 0, 10)],
        # Bands that wrap around nothing, lie apart, and differ in width; some wider than 16 bits.
        [Band(words - 1, 44, 20), Band(0, 3, 5), Band(words - 1, 20, 17)],
    ]


def spread(radius: int, bands: Sequence[Band], rng: np.random.Generator) -> tuple[int, ...] | None:
    """Share the radius among the bands at random, or return None if it does not fit."""
    thresholds = [-1] * len(bands)
    for _ in range(radius + 1):
        free = [t for t, band in enumerate(bands) if thresholds[t] < min(MAX_THRESHOLD, band.bits)]
        if not free:
            return None
        thresholds[rng.choice(free)] += 1
    # Many probes take long and prove nothing more.
    return (
        tuple(thresholds)
        if sum(band.bits ** max(0, t) for band, t in zip(bands, thresholds, strict=True)) < 20_000
        else None
    )


def plan_of(
    bands: Sequence[Band], words: int, thresholds: tuple[int, ...], brute_force_ns: float = UNLIMITED_NS
) -> Plan:
    return plan_with(bands, words, thresholds, np.ones((len(bands), MAX_THRESHOLD + 1)), COSTS, brute_force_ns)


def search(codes: Codes, queries: Codes, bands: list[Band], thresholds: tuple[int, ...]) -> Matches:
    unique, postings = collapse(codes)
    planes = tables.read_only(planes_of(unique))
    radius = sum(thresholds) + len(thresholds) - 1
    built = tables.build(planes, bands)
    plan = replace(
        plan_of(bands, codes.shape[1], thresholds), limits=Limits(entries=10**9, unsampled=10**9, candidates=10**6)
    )
    hits, left = tables.search(built, tuple(planes), plan, tables.read_only(queries), radius)
    assert not len(left)
    return postings.expand(hits)


@pytest.mark.parametrize("words", WIDTHS)
def test_every_case_is_answered_like_the_oracle(words: int) -> None:
    rng = np.random.default_rng(words)
    pairs = 0
    for case in all_cases(words, n=6000):
        for bands in some_bands(words):
            for radius in (0, 1, 2, 7, 8, 9, 12):
                thresholds = spread(radius, bands, rng)
                if thresholds is not None:
                    note = f"{case.name}, {bands}, {thresholds}"
                    found = search(case.codes, case.queries, bands, thresholds)
                    assert_same(found, reference.search(case.codes, case.queries, radius), note)
                    pairs += len(case.codes) * len(case.queries)
    assert pairs > 5_000_000


@pytest.mark.parametrize("words", WIDTHS)
def test_every_radius_that_fits_is_answered_like_the_oracle(words: int) -> None:
    rng = np.random.default_rng(words)
    codes = random_codes(rng, 400, words)
    bands = equal_bands(words, 8, 6)
    fitting = 0
    for radius in range(64 * words + 1):
        thresholds = spread(radius, bands, rng)
        if thresholds is not None:
            queries = np.concatenate([flip_bits(rng, codes[:3], radius), flip_bits(rng, codes[:3], radius + 1)])
            found = search(codes, queries, bands, thresholds)
            assert_same(found, reference.search(codes, queries, radius), f"{thresholds}")
            fitting += 1
    assert fitting > 12 * words


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_codes_and_thresholds(data: st.DataObject) -> None:
    words = data.draw(st.sampled_from(WIDTHS))
    few = st.sampled_from([0, 1, 3, 0xFF, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1)
    shape = st.tuples(st.integers(0, 60), st.just(words))
    codes = data.draw(hnp.arrays(np.uint64, shape, elements=few))
    queries = data.draw(hnp.arrays(np.uint64, shape, elements=few))
    bands = data.draw(st.sampled_from(some_bands(words)))
    thresholds = tuple(data.draw(st.tuples(*[st.integers(-1, 2)] * len(bands)).filter(lambda t: max(t) >= 0)))
    radius = sum(thresholds) + len(thresholds) - 1
    found = search(codes, queries, bands, thresholds)
    assert_same(found, reference.search(codes, queries, radius), f"{bands}, {thresholds}")


def test_a_query_that_meets_large_buckets_is_left_to_brute_force() -> None:
    rng = np.random.default_rng(6)
    codes = random_codes(rng, 5000, 1)
    codes[:4000] &= np.uint64(0xFFFF_FFFF_FFFF_0000)
    planes = tables.read_only(planes_of(codes))
    bands = equal_bands(1, 4, 16)
    queries = tables.read_only(codes[[0, 4500]])
    plan = plan_of(bands, 1, (2, 2, 2, 2), brute_force_ns=3000)
    hits, left = tables.search(tables.build(planes, bands), tuple(planes), plan, queries, 11)
    assert left.tolist() == [0]
    assert set(hits.query) == {1}


def test_a_query_with_many_candidates_is_left_to_brute_force() -> None:
    rng = np.random.default_rng(7)
    codes = np.full((3000, 1), 0x1234_5678_9ABC_DEF0, np.uint64)
    codes[:2000] ^= random_codes(rng, 2000, 1) & np.uint64(0xFFF0)
    codes[2000:] = random_codes(rng, 1000, 1)
    planes = tables.read_only(planes_of(codes))
    bands = [Band(0, 60, 4), Band(0, 0, 4)]
    queries = tables.read_only(codes[[0, 2500]])
    plan = plan_of(bands, 1, (2, 2), brute_force_ns=20_000)
    assert plan.limits.candidates == 2000
    hits, left = tables.search(tables.build(planes, bands), tuple(planes), plan, queries, 5)
    assert left.tolist() == [0]
    assert set(hits.query) == {1}


@pytest.mark.parametrize("unsampled", [0, 10**9], ids=["foretold by a sample", "met"])
def test_too_many_candidates_are_found_out_beforehand_or_on_the_way(unsampled: int) -> None:
    rng = np.random.default_rng(9)
    codes = random_codes(rng, 20_000, 1)
    # In one bucket, half of whose codes resemble the query.
    codes[:8000] = codes[:1] ^ (random_codes(rng, 8000, 1) & np.uint64(0x1111_0000_0000_0000))
    codes[8000:16000, 0] = (codes[0, 0] & np.uint64(0xFFFF)) | (codes[8000:16000, 0] & ~np.uint64(0xFFFF))
    planes = tables.read_only(planes_of(codes))
    bands = equal_bands(1, 4, 16)
    built = tables.build(planes, bands)
    queries = tables.read_only(codes[[0, 18_000]])
    expected = reference.search(codes, queries, 7)
    for candidates, left_expected in ((2000, [0]), (40_000, [])):
        limits = Limits(entries=10**9, unsampled=unsampled, candidates=candidates)
        plan = replace(plan_of(bands, 1, (1, 1, 1, 1)), limits=limits)
        hits, left = tables.search(built, tuple(planes), plan, queries, 7)
        assert left.tolist() == left_expected
        kept = ~np.isin(expected.query, left)
        found = Matches.sorted(*hits)
        assert found.row.tolist() == expected.row[kept].tolist()


def test_threads_build_the_same_tables() -> None:
    planes = tables.read_only(planes_of(random_codes(np.random.default_rng(8), 3000, 2)))
    one, four = (tables.build(planes, equal_bands(2, 3, 8), threads) for threads in (1, 4))
    for a, b in zip(one, four, strict=True):
        np.testing.assert_array_equal(a, b)


def test_bucket_sizes_are_averages_over_what_queries_meet() -> None:
    codes = np.arange(2**16, dtype=np.uint64).reshape(-1, 1)
    planes = tables.read_only(planes_of(codes))
    sizes = tables.bucket_sizes(tables.build(planes, [Band(0, 0, 10), Band(0, 10, 10)]))
    assert sizes[0].tolist() == [63] + [64] * MAX_THRESHOLD
    # Only 2**6 values of the second band occur, 1024 codes in each.
    assert sizes[1, 0] == 1023
    assert sizes[1, 1] == pytest.approx(1024 * 6 / 10, rel=0.1)


@pytest.mark.long
@pytest.mark.parametrize("words", WIDTHS)
@pytest.mark.parametrize("seed", range(5))
def test_many_cases_long(words: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for case in all_cases(words, n=20_000, seed=seed):
        for bands in some_bands(words):
            for radius in range(13):
                thresholds = spread(radius, bands, rng)
                if thresholds is not None:
                    found = search(case.codes, case.queries, bands, thresholds)
                    expected = reference.search(case.codes, case.queries, radius)
                    assert_same(found, expected, f"{case.name}, {bands}, {thresholds}")
