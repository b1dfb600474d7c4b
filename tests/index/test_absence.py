"""What is told to be near nothing, against the oracle: absence and presence, at the radius and beyond."""

from __future__ import annotations

import numpy as np
import pytest

from nearhash_index import Index, reference, tables
from nearhash_index.absence import AbsenceCheck
from nearhash_index.bands import equal_bands
from nearhash_index.codes import Codes, codes_to_bytes
from nearhash_index.degenerate import degenerate_rows
from nearhash_index.hash_types import HASH_TYPES, HashType
from nearhash_index.plan import Limits
from nearhash_index.planes import planes_of
from nearhash_index.unique import collapse

from .cases import all_cases, flip_bits, random_codes
from .test_tables import plan_of

TYPES = pytest.mark.parametrize("hash_type", HASH_TYPES.values(), ids=HASH_TYPES)


def of_width(codes: Codes, hash_type: HashType) -> Codes:
    """Clear the bits that codes of the type never have."""
    if hash_type.bits % 64:
        codes = codes.copy()
        codes[:, -1] &= ~np.uint64(2 ** (64 - hash_type.bits % 64) - 1)
    return codes


def expected(codes: Codes, queries: Codes, hash_type: HashType, radius: int) -> list[bool]:
    absent = np.ones(len(queries), dtype=np.bool_)
    absent[reference.search(codes, queries, radius).query] = False
    absent[degenerate_rows(queries, hash_type)] = False
    return absent.tolist()


def told(check: AbsenceCheck | None, queries: Codes, hash_type: HashType) -> list[bool]:
    assert check is not None
    packed, width = codes_to_bytes(queries, hash_type), hash_type.size_bytes
    return [check(packed[i : i + width]) for i in range(0, len(packed), width)]


@TYPES
def test_every_case_is_told_like_the_oracle(hash_type: HashType) -> None:
    rng = np.random.default_rng(hash_type.number)
    absent = present = 0
    for case in all_cases(hash_type.words, n=3000):
        codes, queries = of_width(case.codes, hash_type), of_width(case.queries, hash_type)
        queries = np.concatenate([queries, of_width(random_codes(rng, 5, hash_type.words), hash_type)])
        index = Index.build(codes)
        for radius in (0, 4, 8, 31):
            said = told(index.absence_check(hash_type, radius, None), queries, hash_type)
            assert said == expected(codes, queries, hash_type, radius), f"{case.name}, {radius}"
            absent += sum(said)
            present += len(said) - sum(said)
    assert min(absent, present) > 20


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
        check = AbsenceCheck(hash_type, radius, planes, (built, plan_of(bands, words, thresholds)), extra)
        near = [
            of_width(flip_bits(rng, part[rng.integers(0, len(part), 20)], flips), hash_type)
            for part in (codes, added)
            for flips in (radius, radius + 1)
        ]
        queries = np.concatenate([*near, of_width(random_codes(rng, 20, words), hash_type)])
        said = told(check, queries, hash_type)
        assert said == expected(np.concatenate([codes, added]), queries, hash_type, radius), f"radius {radius}"
        assert any(said)
        assert not all(said)


def test_a_query_that_tables_leave_to_brute_force_is_not_told_to_be_absent() -> None:
    rng = np.random.default_rng(1)
    hash_type = HASH_TYPES["phash64"]
    codes = random_codes(rng, 3000, 1)
    planes = tables.read_only(planes_of(codes))
    bands = equal_bands(1, 4, 10)
    plan = plan_of(bands, 1, (2, 2, 1, 0))
    object.__setattr__(plan, "limits", Limits(entries=0, unsampled=0, candidates=64))
    check = AbsenceCheck(hash_type, 8, planes, (tables.build(planes, bands), plan), None)
    assert not any(told(check, random_codes(rng, 20, 1), hash_type))


def test_long_searches_have_no_check() -> None:
    unique, postings = collapse(random_codes(np.random.default_rng(2), 2_000_000, 2))
    for n, is_short in ((1000, True), (2_000_000, False)):
        index = Index.with_bands(planes_of(unique[:n]), postings, [])
        assert (index.explain(31).expected_us <= 100) == is_short
        assert (index.absence_check(HASH_TYPES["md5"], 31, None) is not None) == is_short
