from __future__ import annotations

import itertools

import numpy as np
import pytest

from nearhash_index.bands import equal_bands, masks_within
from nearhash_index.layout import bytes_per_code, choose_bands
from nearhash_index.plan import MAX_THRESHOLD, Planner, plan_with
from nearhash_index.work import Costs

COSTS = Costs(probe_ns=10, entry_ns=0.2, candidate_ns=30)
UNLIMITED_NS = 1e12


@pytest.mark.parametrize("bits", [1, 5, 12])
@pytest.mark.parametrize("threshold", [-1, 0, 1, 2, 5])
def test_masks_are_all_values_of_few_bits(bits: int, threshold: int) -> None:
    masks = masks_within(bits, threshold)
    assert masks.tolist() == [value for value in range(2**bits) if value.bit_count() <= threshold]
    exactly = masks_within(bits, threshold, max(threshold, 0))
    assert exactly.tolist() == [value for value in range(2**bits) if value.bit_count() == threshold]


@pytest.mark.parametrize("radius", range(12))
def test_the_cheapest_thresholds_are_chosen(radius: int) -> None:
    rng = np.random.default_rng(radius)
    bands = equal_bands(2, 2, 9)
    sizes = rng.exponential(100, (4, MAX_THRESHOLD + 1))
    plan = Planner(bands, 2, sizes, COSTS).plan(radius, UNLIMITED_NS)
    assert plan is not None
    assert sum(plan.thresholds) + len(plan.thresholds) == radius + 1
    # The parity's saving comes after the choice, and is at most one step of one table.
    every = [t for t in itertools.product(range(-1, MAX_THRESHOLD + 1), repeat=4) if sum(t) + 4 == radius + 1]
    best = min(plan_with(bands, 2, t, sizes, COSTS, UNLIMITED_NS).cost_ns for t in every)
    assert plan.cost_ns <= 1.5 * best


def test_skewed_tables_are_looked_at_less() -> None:
    sizes = np.full((4, MAX_THRESHOLD + 1), 100.0)
    sizes[2] = 10_000
    plan = Planner(equal_bands(1, 4, 12), 1, sizes, COSTS).plan(8, UNLIMITED_NS)
    assert plan is not None
    assert plan.thresholds[2] < min(plan.thresholds[:2])


def test_brute_force_is_left_when_it_is_cheaper() -> None:
    planner = Planner(equal_bands(1, 4, 12), 1, np.full((4, MAX_THRESHOLD + 1), 500.0), COSTS)
    plan = planner.plan(8, UNLIMITED_NS)
    assert plan is not None
    assert planner.plan(8, plan.cost_ns * 2.25) is not None
    assert planner.plan(8, plan.cost_ns * 2.19) is None
    # No thresholds that the tables allow add up to it.
    assert planner.plan(64, UNLIMITED_NS) is None


def test_brute_force_is_left_only_where_a_look_at_a_query_costs_little_beside_it() -> None:
    # As fast as the tables are: what a query costs that they do not answer counts.
    planner = Planner(equal_bands(1, 4, 12), 1, np.full((4, MAX_THRESHOLD + 1), 10.0), Costs(1, 0.01, 1))
    plan = planner.plan(8, UNLIMITED_NS)
    assert plan is not None
    assert 5 * plan.cost_ns < 4_000
    assert planner.plan(8, 4_000) is None
    assert planner.plan(8, 20_000) is not None


def test_a_sample_is_taken_unless_the_entries_are_cheap_beside_brute_force() -> None:
    planner = Planner(equal_bands(1, 4, 12), 1, np.full((4, MAX_THRESHOLD + 1), 100.0), COSTS)
    for brute_force_ns in (20_000, 50_000, 10**6):
        plan = planner.plan(8, brute_force_ns)
        assert plan is not None
        cost_ns = plan.limits.unsampled * COSTS.entry_ns
        # As many entries as candidates are allowed cannot have more of them.
        assert cost_ns <= 0.1 * brute_force_ns + COSTS.entry_ns or plan.limits.unsampled == plan.limits.candidates


@pytest.mark.parametrize(("words", "radius"), [(1, 8), (1, 4), (2, 16), (4, 31), (4, 0), (3, 0)])
@pytest.mark.parametrize("n", [10**6, 10**7, 10**8])
def test_bands_are_disjoint_and_within_memory(words: int, radius: int, n: int) -> None:
    bands = choose_bands(n, words, radius, COSTS, brute_force_ns=0.05 * n * words)
    assert bands
    for word in range(words):
        used = [bit for band in bands if band.word == word for bit in range(band.shift, band.shift + band.bits)]
        assert len(used) == len(set(used))
        assert set(used) <= set(range(64))
    assert bytes_per_code(bands, n, words) <= 62 * words


def test_few_codes_need_no_bands() -> None:
    assert choose_bands(1000, 1, 8, COSTS, brute_force_ns=50) == []
    assert choose_bands(0, 1, 8, COSTS, brute_force_ns=0) == []


def test_of_bands_as_cheap_as_others_the_widest_are_taken() -> None:
    free = Costs(probe_ns=0, entry_ns=0, candidate_ns=0)
    assert {band.bits for band in choose_bands(10**6, 1, 8, free, brute_force_ns=1)} == {20}
