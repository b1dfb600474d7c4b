"""What is found near a few hashes, against the oracle: absence and presence, at the radius and beyond."""

from __future__ import annotations

import sys
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from nearhash_index import Index, calibration, reference, tables
from nearhash_index.bands import equal_bands
from nearhash_index.codes import Codes, codes_to_bytes
from nearhash_index.degenerate import degenerate_rows
from nearhash_index.hash_types import HASH_TYPES, HashType
from nearhash_index.plan import Limits
from nearhash_index.planes import planes_of
from nearhash_index.quick_search import MOST_HASHES, QuickSearch
from nearhash_index.unique import collapse
from nearhash_index.work import Costs

from .cases import all_cases, flip_bits, random_codes
from .test_tables import plan_of

MOST_HITS = 64
TYPES = pytest.mark.parametrize("hash_type", HASH_TYPES.values(), ids=HASH_TYPES)


def of_width(codes: Codes, hash_type: HashType) -> Codes:
    """Clear the bits that codes of the type never have."""
    if hash_type.bits % 64:
        codes = codes.copy()
        codes[:, -1] &= ~np.uint64(2 ** (64 - hash_type.bits % 64) - 1)
    return codes


def expected(codes: Codes, queries: Codes, hash_type: HashType, radius: int) -> list[set[tuple[int, int]]]:
    """Return code and distance of all hits of each query; for a degenerate one a hit that there is not."""
    hits: list[set[tuple[int, int]]] = [set() for _ in queries]
    found = reference.search(codes, queries, radius)
    for query, code, distance in zip(found.query.tolist(), found.row.tolist(), found.distance.tolist(), strict=True):
        hits[query].add((code, distance))
    for query in degenerate_rows(queries, hash_type).tolist():
        hits[query] = {(-1, -1)}
    return hits


def told(search: QuickSearch | None, queries: Codes, hash_type: HashType) -> list[list[tuple[int, int]] | None]:
    """Return code and distance of what is told of each query; of several together it is to be the same."""
    assert search is not None
    packed, width = codes_to_bytes(queries, hash_type), hash_type.size_bytes
    alone: list[list[tuple[int, int]] | None] = []
    for begin in range(0, len(packed), width):
        hits = search.find(packed[begin : begin + width])
        assert hits is None or {query for query, _, _ in hits} <= {0}
        alone.append(hits if hits is None else [(code, distance) for _, code, distance in hits])
    for size in (2, 5, MOST_HASHES):
        for first in range(0, len(queries), size):
            group = alone[first : first + size]
            hits = search.find(packed[first * width : (first + size) * width])
            if None in group or sum(map(len, filter(None, group))) > MOST_HITS:
                assert hits is None
            else:
                assert hits is not None
                wanted = [(query, *hit) for query, of_query in enumerate(group) for hit in of_query or ()]
                assert sorted(hits) == sorted(wanted)
    return alone


def count_told(
    said: list[list[tuple[int, int]] | None], hits: list[set[tuple[int, int]]], left: Collection[int] = ()
) -> tuple[int, int, int]:
    """Check what was told; return for how many queries it was nothing, hits, and that the search cannot tell.

    What is near nothing is always told, but of the queries that the tables leave to brute force.
    """
    for query, (of_query, wanted) in enumerate(zip(said, hits, strict=True)):
        assert of_query is None if (-1, -1) in wanted or query in left else of_query is not None or wanted
        if of_query is not None:
            assert len(of_query) == len(wanted)
            assert set(of_query) == wanted
    untold = said.count(None)
    nothing = said.count([])
    return nothing, len(said) - nothing - untold, untold


def left_by_tables(index: Index, queries: Codes, radius: int) -> list[int]:
    """Return the queries that a search of the index leaves to brute force; none if all are."""
    plan = index._plan(radius)
    if plan is None:
        return []
    _, left = tables.search(index._tables, index._plane_list, plan, tables.read_only(queries), radius)
    return left.tolist()


@TYPES
@pytest.mark.parametrize("has_tables", [False, True], ids=["brute force", "tables"])
def test_every_case_is_told_like_the_oracle(
    hash_type: HashType, has_tables: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Planned alike on every machine.
    monkeypatch.setattr(calibration, "brute_force_ns", lambda _words, _radius: 10.0 if has_tables else 0.0)
    monkeypatch.setattr(calibration, "table_costs", lambda _size_bytes: Costs(5.0, 0.08, 7.0))
    rng = np.random.default_rng(hash_type.number)
    counts = np.zeros(3, dtype=np.int64)
    for case in all_cases(hash_type.words, n=3000):
        codes, queries = of_width(case.codes, hash_type), of_width(case.queries, hash_type)
        queries = np.concatenate([queries, of_width(random_codes(rng, 5, hash_type.words), hash_type)])
        index = Index.build(codes)
        unique, _ = collapse(codes)
        for radius in (0, 4, 8, 31):
            said = told(index.quick_search(hash_type, radius, None), queries, hash_type)
            hits = expected(unique, queries, hash_type, radius)
            counts += count_told(said, hits, left_by_tables(index, queries, radius))
    nothing, _, untold = counts
    assert min(nothing, untold) > 20


@TYPES
def test_tables_and_added_codes_are_told_like_the_oracle(hash_type: HashType) -> None:
    rng = np.random.default_rng(hash_type.number)
    words = hash_type.words
    codes, added = (of_width(random_codes(rng, n, words), hash_type) for n in (6000, 500))
    planes, extra = (tables.read_only(planes_of(part)) for part in (codes, added))
    bands = equal_bands(words, 4, 10)
    built = tables.build(planes, bands)
    for radius in (0, 1, 7, 8, 9, 12):
        each, more = divmod(radius + 1, len(bands))
        thresholds = tuple(each - 1 + (t < more) for t in range(len(bands)))
        plan = plan_of(bands, words, thresholds)
        search = QuickSearch(hash_type, radius, MOST_HASHES, planes, (built, plan), extra)
        near = [
            of_width(flip_bits(rng, part[rng.integers(0, len(part), 20)], flips), hash_type)
            for part in (codes, added)
            for flips in (radius, radius + 1)
        ]
        queries = np.concatenate([*near, of_width(random_codes(rng, 20, words), hash_type)])
        hits = expected(codes, queries, hash_type, radius)
        for near_added, wanted in zip(expected(added, queries, hash_type, radius), hits, strict=True):
            if near_added:
                wanted.add((-1, -1))
        said = told(search, queries, hash_type)
        nothing, some, untold = count_told(said, hits)
        assert nothing >= 20
        assert min(some, untold) >= 15
        for query, of_query in zip(queries, said, strict=True):
            met = search.count_candidates(codes_to_bytes(query[None], hash_type))
            in_tables = tables.count_entries(built, plan, tables.read_only(query[None]), radius)
            assert met == (None if of_query is None else in_tables + len(added))


def test_brute_force_meets_all_codes() -> None:
    codes = random_codes(np.random.default_rng(6), 700, 1)
    hash_type, query = HASH_TYPES["phash64"], b"\x0f\x35\x96\xc3\x5a\x69\xa5\x3c"
    added = tables.read_only(planes_of(codes[:30]))
    search = Index.build(codes).quick_search(hash_type, 4, added)
    assert search is not None
    assert search.find(query) == []
    assert search.count_candidates(query) == 730
    assert search.count_candidates(codes_to_bytes(codes[:1], hash_type)) is None


def test_more_hits_than_there_is_room_for_are_left_to_the_search() -> None:
    rng = np.random.default_rng(3)
    hash_type = HASH_TYPES["phash64"]
    center = random_codes(rng, 1, 1)
    for count in (63, 64, 65, 150):
        near, _ = collapse(flip_bits(rng, np.repeat(center, 4 * count, axis=0), 8))
        codes = np.concatenate([near[:count], random_codes(rng, 3000, 1)])
        planes, bands = tables.read_only(planes_of(codes)), equal_bands(1, 4, 10)
        built = tables.build(planes, bands)
        search = QuickSearch(hash_type, 8, MOST_HASHES, planes, (built, plan_of(bands, 1, (2, 2, 1, 0))), None)
        (said,) = told(search, center, hash_type)
        assert (said is None) == (count > MOST_HITS)
        count_told([said], expected(codes, center, hash_type, 8))


def test_threads_do_not_get_hits_of_each_other() -> None:
    rng = np.random.default_rng(4)
    hash_type = HASH_TYPES["phash64"]
    codes = random_codes(rng, 3000, 1)
    planes, bands = tables.read_only(planes_of(codes)), equal_bands(1, 4, 10)
    search = QuickSearch(
        hash_type, 8, MOST_HASHES, planes, (tables.build(planes, bands), plan_of(bands, 1, (2, 2, 1, 0))), None
    )
    queries = [flip_bits(rng, codes[k : k + 1], 8) for k in range(2)]
    wanted = [told(search, query, hash_type) for query in queries]
    assert all(wanted)
    assert wanted[0] != wanted[1]

    def ask(k: int) -> bool:
        return all(told(search, queries[k], hash_type) == wanted[k] for _ in range(20_000))

    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(2) as pool:
            assert all(pool.map(ask, range(2)))
    finally:
        sys.setswitchinterval(interval_s)


def test_a_query_that_tables_leave_to_brute_force_is_not_told() -> None:
    rng = np.random.default_rng(1)
    hash_type = HASH_TYPES["phash64"]
    codes = random_codes(rng, 3000, 1)
    planes = tables.read_only(planes_of(codes))
    bands = equal_bands(1, 4, 10)
    plan = plan_of(bands, 1, (2, 2, 1, 0))
    object.__setattr__(plan, "limits", Limits(entries=0, unsampled=0, candidates=64))
    search = QuickSearch(hash_type, 8, MOST_HASHES, planes, (tables.build(planes, bands), plan), None)
    assert told(search, random_codes(rng, 20, 1), hash_type) == [None] * 20


def test_what_one_search_leaves_to_brute_force_does_not_spoil_the_next() -> None:
    rng = np.random.default_rng(7)
    hash_type = HASH_TYPES["phash64"]
    center = random_codes(rng, 1, 1)
    dense, _ = collapse(flip_bits(rng, np.repeat(center, 500, axis=0), 8))
    planes, bands = (
        tables.read_only(planes_of(np.concatenate([dense, random_codes(rng, 3000, 1)]))),
        equal_bands(1, 4, 10),
    )
    plan = plan_of(bands, 1, (2, 2, 1, 0))
    object.__setattr__(plan, "limits", Limits(entries=10**9, unsampled=10**9, candidates=64))
    search = QuickSearch(hash_type, 8, MOST_HASHES, planes, (tables.build(planes, bands), plan), None)
    far = random_codes(rng, 8, 1)
    packed, of_center = codes_to_bytes(far, hash_type), codes_to_bytes(center, hash_type)
    assert search.find(packed) == []
    assert search.find(packed[:40] + of_center) is None
    assert search.find(packed) == []


def test_of_more_hashes_than_there_is_room_for_nothing_is_told() -> None:
    rng = np.random.default_rng(5)
    hash_type = HASH_TYPES["md5"]
    search = QuickSearch(hash_type, 31, 3, tables.read_only(planes_of(random_codes(rng, 100, 2))), None, None)
    packed = rng.bytes(4 * hash_type.size_bytes)
    assert search.find(packed[: 3 * hash_type.size_bytes]) == []
    assert search.find(packed) is None


def test_long_searches_are_not_made() -> None:
    unique, postings = collapse(random_codes(np.random.default_rng(2), 4_000_000, 2))
    for n, is_short in ((1000, True), (4_000_000, False)):
        index = Index.with_bands(planes_of(unique[:n]), postings, [])
        assert (index.explain(31).expected_us <= 200) == is_short
        assert (index.quick_search(HASH_TYPES["md5"], 31, None) is not None) == is_short
    few = Index.with_bands(planes_of(unique[:1000]), postings, [])
    assert few.quick_search(HASH_TYPES["md5"], 31, planes_of(unique)) is None
