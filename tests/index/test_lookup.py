from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearhash_index import reference
from nearhash_index.codes import Codes, codes_from_bytes
from nearhash_index.degenerate import degenerate_rows
from nearhash_index.entries import Entry, Hash
from nearhash_index.errors import BankDisabled, InvalidInput, UnknownName
from nearhash_index.hash_types import HASH_TYPES, HashType
from nearhash_index.lookup import lookup, lookup_in_blocks
from nearhash_index.store import DataDirectory, Generation, Registry, publish
from nearhash_index.store.delta import DeltaFollower
from nearhash_index.view import View

from .samples import AUTHOR, DIGESTS, MD5, PDQ256, PERCEPTUAL, PHASH64, entry, flipped, near, random_hash, upserts

Answer = tuple[list[tuple[int, int, str, str, str]], list[int], list[int]]
"""Matches as (query, distance, bank, entry id, source), unsearchable queries, truncated queries."""

ALL_TYPES = pytest.mark.parametrize("hash_type", HASH_TYPES.values(), ids=HASH_TYPES)


@dataclass
class ModelBank:
    radii: dict[str, int] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    enabled: bool = True
    allowlist: bool = False


Model = dict[str, ModelBank]


def view_of(model: Model, path: Path, added: Callable[[Entry], bool] = lambda _: False) -> View:
    """Return a view of the model, with the entries chosen in the delta and the others in the generation."""
    directory = DataDirectory.create(path)
    with Registry(directory) as registry:
        for name, bank in model.items():
            registry.create_bank(name, bank.radii, allowlist=bank.allowlist, author=AUTHOR)
            registry.apply(name, upserts(each for each in bank.entries if not added(each)), AUTHOR)
            registry.update_bank(name, {}, enabled=bank.enabled, author=AUTHOR)
    generation = Generation.open(directory.generation_path(publish(path).number))
    with Registry(directory) as registry:
        for name, bank in model.items():
            registry.apply(name, upserts(filter(added, bank.entries)), AUTHOR)
        with registry.snapshot() as snapshot:
            delta = DeltaFollower(generation, pinned=False).read(snapshot, time.time())
    assert delta is not None
    return View(generation, delta)


def codes_of(hash_type: HashType, hashes: Sequence[Hash]) -> Codes:
    return codes_from_bytes(b"".join(item.value for item in hashes), hash_type)


def answer_of(view: View, hash_type: HashType, queries: Sequence[Hash], **how: Any) -> Answer:
    how = {"radius": None, "banks": (), "max_matches": 1000} | how
    found = lookup(view, hash_type, codes_of(hash_type, queries), **how)
    matches = [
        (int(query), int(distance), *view.entry(number)[:3])
        for query, number, distance in zip(found.query, found.entry.tolist(), found.distance, strict=True)
    ]
    return matches, found.unsearchable.tolist(), found.truncated.tolist()


def expected_of(
    model: Model,
    hash_type: HashType,
    queries: Sequence[Hash],
    *,
    radius: int | None = None,
    banks: Sequence[str] = (),
    max_matches: int = 1000,
) -> Answer:
    """Answer as the description says it, one entry and one query after the other."""
    codes = codes_of(hash_type, queries)
    unsearchable = degenerate_rows(codes, hash_type).tolist()
    nearest: dict[tuple[int, str, str, str], int] = {}
    for name, bank in model.items():
        own = bank.radii.get(hash_type.name, hash_type.default_radius)
        within = own if radius is None else min(own, radius)
        if bank.enabled and (not banks or name in banks):
            for each in bank.entries:
                hashes = [item for item in each.hashes if item.hash_type == hash_type]
                matches = reference.search(codes_of(hash_type, hashes), codes, within)
                for query, distance in zip(matches.query.tolist(), matches.distance.tolist(), strict=True):
                    found = (query, name, each.key.entry_id, each.key.source)
                    if query not in unsearchable:
                        nearest[found] = min(distance, nearest.get(found, distance))
    ordered = sorted((query, distance, *names) for (query, *names), distance in nearest.items())
    kept, truncated = [], []
    for query in range(len(queries)):
        of_query = [match for match in ordered if match[0] == query]
        kept += of_query[:max_matches]
        truncated += [query] if len(of_query) > max_matches else []
    return kept, unsearchable, truncated


def random_model(seed: int, hash_type: HashType) -> tuple[Model, list[Hash]]:
    """Return banks with entries around a few hashes, and queries around the same."""
    rng = np.random.default_rng(seed)
    widest = max(hash_type.default_radius, 6)
    centres = [random_hash(rng, hash_type) for _ in range(4)]
    other = PDQ256 if hash_type == PHASH64 else PHASH64

    def some(count: int) -> list[Hash]:
        return [near(rng, centres[rng.integers(4)], int(rng.integers(widest + 3))) for _ in range(count)]

    model = {
        name: ModelBank(
            {hash_type.name: radius},
            [
                entry(
                    f"{rng.integers(40):02}-{i}", *dict.fromkeys([*some(count), random_hash(rng, other)]), source=source
                )
                for i, (source, count) in enumerate(
                    zip(rng.choice(["s", "t", "A"], 60), rng.integers(0, 4, 60), strict=True)
                )
            ],
            enabled,
        )
        for name, radius, enabled in (
            ("narrow", 0, True),
            ("Default", hash_type.default_radius, True),
            ("wide", widest + 2, True),
            ("disabled", widest, False),
        )
    }
    zeros = Hash(hash_type, bytes(hash_type.size_bytes))
    return model, [centres[0], zeros, *centres[1:], *some(8), random_hash(rng, hash_type)]


@ALL_TYPES
def test_answers_are_those_of_the_model(hash_type: HashType, tmp_path: Path) -> None:
    model, queries = random_model(1, hash_type)
    view = view_of(model, tmp_path)
    for radius in (None, 0, hash_type.default_radius, hash_type.default_radius + 5, hash_type.bits):
        for banks in ((), ("wide",), ("narrow", "Default"), ("wide", "wide")):
            for max_matches in (1000, 3):
                how: dict[str, Any] = {"radius": radius, "banks": banks, "max_matches": max_matches}
                expected = expected_of(model, hash_type, queries, **how)
                assert answer_of(view, hash_type, queries, **how) == expected, how
    matches, unsearchable, _ = expected_of(model, hash_type, queries)
    assert len(matches) > 20
    assert unsearchable == ([1] if hash_type.perceptual else [])


@ALL_TYPES
def test_present_at_the_radius_and_absent_one_beyond(hash_type: HashType, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    stored = random_hash(rng, hash_type)
    radii = sorted({0, 1, hash_type.default_radius, hash_type.bits // 4})
    model = {f"r{radius:03}": ModelBank({hash_type.name: radius}, [entry("1", stored)]) for radius in radii}
    view = view_of(model, tmp_path)
    for radius in radii:
        at, beyond = near(rng, stored, radius), near(rng, stored, radius + 1)
        matches, _, _ = answer_of(view, hash_type, [at, beyond], banks=[f"r{radius:03}"])
        assert matches == [(0, radius, f"r{radius:03}", "1", "local")]
        # Asked over all banks, each answers by its own radius.
        matches, _, _ = answer_of(view, hash_type, [at, beyond])
        assert [m[2] for m in matches if m[0] == 0] == [f"r{wide:03}" for wide in radii if wide >= radius]
        assert [m[2] for m in matches if m[0] == 1] == [f"r{wide:03}" for wide in radii if wide > radius]


def test_the_radius_asked_for_narrows_a_banks_and_never_widens_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    stored = random_hash(rng)
    view = view_of({"bank": ModelBank({"phash64": 6}, [entry("1", stored)])}, tmp_path)
    for distance in range(12):
        for radius in (None, 0, 3, 6, 9, 64):
            matches, _, _ = answer_of(view, PHASH64, [near(rng, stored, distance)], radius=radius)
            assert bool(matches) == (distance <= min(6, 64 if radius is None else radius)), (distance, radius)


def test_one_hash_is_found_in_every_entry_source_and_bank_in_order(tmp_path: Path) -> None:
    stored = random_hash(np.random.default_rng(4))
    bank = [entry(i, stored, source=s) for i in ("b", "a", "\N{SNOWMAN}", "B") for s in ("t", "S")]
    model = {name: ModelBank(entries=bank) for name in ("two", "One", "1")}
    matches, _, _ = answer_of(view_of(model, tmp_path), PHASH64, [stored, stored])
    expected = [
        (query, 0, name, i, source)
        for query in (0, 1)
        for name in ("1", "One", "two")
        for i in ("B", "a", "b", "\N{SNOWMAN}")
        for source in ("S", "t")
    ]
    assert matches == expected


def test_an_entry_counts_once_by_its_nearest_hash(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    query = random_hash(rng)
    hashes = [flipped(query, range(k)) for k in (5, 2, 7, 3)]
    other = entry("other", flipped(query, range(60, 64)))
    model = {"bank": ModelBank(entries=[entry("several", *hashes, random_hash(rng, PDQ256)), other])}
    matches, _, truncated = answer_of(view_of(model, tmp_path), PHASH64, [query], max_matches=2)
    assert matches == [(0, 2, "bank", "several", "local"), (0, 4, "bank", "other", "local")]
    assert truncated == []


@pytest.mark.parametrize("added", [0, 30, 60])
def test_every_hash_is_a_match_of_its_own_with_its_place_in_the_entry(added: int, tmp_path: Path) -> None:
    model, queries = random_model(15, PDQ256)
    waiting = {each.key for bank in model.values() for each in bank.entries[:added]}
    view = view_of(model, tmp_path, lambda each: each.key in waiting)
    found = lookup(view, PDQ256, codes_of(PDQ256, queries), radius=None, banks=(), max_matches=100_000, every_hash=True)
    assert found.places is not None
    matches = [
        (query, distance, *view.entry(number)[:3])
        for query, number, distance in zip(
            found.query.tolist(), found.entry.tolist(), found.distance.tolist(), strict=True
        )
    ]
    expected, hashes = [], {}
    for name, bank in model.items():
        for each in bank.entries if bank.enabled else ():
            hashes[name, *each.key] = [item for item in each.hashes if item.hash_type == PDQ256]
            codes = codes_of(PDQ256, hashes[name, *each.key])
            near = reference.search(codes, codes_of(PDQ256, queries), bank.radii["pdq256"])
            expected += [
                (query, distance, name, *each.key)
                for query, distance in zip(near.query.tolist(), near.distance.tolist(), strict=True)
                if query != 1  # degenerate
            ]
    assert matches == sorted(expected)
    assert len({(query, *names) for query, _, *names in matches}) < len(matches)
    for (query, distance, *names), (index, count) in zip(matches, found.places, strict=True):
        of_entry = hashes[tuple(names)]
        bits = int.from_bytes(queries[query].value) ^ int.from_bytes(of_entry[index].value)
        assert (bits.bit_count(), len(of_entry)) == (distance, count)


@ALL_TYPES
@pytest.mark.parametrize("every_hash", [False, True])
def test_blocks_tell_together_what_is_told_at_once(hash_type: HashType, every_hash: bool, tmp_path: Path) -> None:
    model, queries = random_model(16, hash_type)
    model["allowed"] = ModelBank(entries=[entry("1", queries[3])], allowlist=True)
    zeros = queries[1]
    asked = [*queries, *queries, zeros, zeros, *queries, zeros]
    view = view_of(model, tmp_path, lambda each: int(each.key.entry_id[:2]) % 3 == 0)
    codes = codes_of(hash_type, asked)
    how: dict[str, Any] = {"max_matches": 9, "every_hash": every_hash}
    whole = lookup(view, hash_type, codes, radius=None, banks=(), **how)
    assert len(whole.query) > 100
    assert whole.allowed
    reach = view.reach(hash_type, None, ())
    rng = np.random.default_rng(17)
    parted = 0
    for count in (1, 2, 3, 7, len(asked)):
        inner = rng.choice(np.arange(1, len(asked)), count - 1, replace=False)
        borders = [0, *sorted(inner.tolist()), len(asked)]
        blocks = [slice(first, last) for first, last in pairwise(borders)]
        parts = list(lookup_in_blocks(view, hash_type, codes, blocks, reach=reach, **how))
        parted += len(parts) > 1
        for column in ("query", "entry", "distance", "code", "unsearchable", "truncated"):
            together = np.concatenate([getattr(part, column) for part in parts])
            assert together.tolist() == getattr(whole, column).tolist(), (column, borders)
        assert [pair for part in parts for pair in part.allowed] == whole.allowed
        if every_hash:
            assert [place for part in parts for place in part.places or ()] == whole.places
    # Much is not kept back until the end.
    assert parted


def test_little_is_told_once_all_blocks_are_searched(tmp_path: Path) -> None:
    rng = np.random.default_rng(18)
    stored = [random_hash(rng) for _ in range(20)]
    view = view_of({"bank": ModelBank(entries=[entry(f"{i:02}", each) for i, each in enumerate(stored)])}, tmp_path)
    blocks = [slice(i, i + 1) for i in range(20)]
    reach = view.reach(PHASH64, None, ())
    (found,) = lookup_in_blocks(view, PHASH64, codes_of(PHASH64, stored), blocks, reach=reach, max_matches=1)
    assert found.query.tolist() == found.entry.tolist() == list(range(20))


def test_the_nearest_are_kept_and_the_cut_is_told(tmp_path: Path) -> None:
    query = random_hash(np.random.default_rng(6))
    entries = [entry(f"{7 - k}", flipped(query, range(k))) for k in range(8)]
    view = view_of({"bank": ModelBank(entries=entries)}, tmp_path)
    far = flipped(query, range(32, 64))
    for cap in (1, 3, 7, 8, 9):
        matches, _, truncated = answer_of(view, PHASH64, [far, query], max_matches=cap)
        assert [match[1] for match in matches] == list(range(min(cap, 8)))
        assert truncated == ([1] if cap < 8 else [])


def test_unsearchable_queries_are_told_and_not_searched(tmp_path: Path) -> None:
    stored = random_hash(np.random.default_rng(7))
    flat = Hash(PHASH64, bytes.fromhex("8000000000000000"))
    view = view_of({"bank": ModelBank({"phash64": 64}, [entry("1", stored)])}, tmp_path)
    matches, unsearchable, truncated = answer_of(view, PHASH64, [flat, stored, flat, stored])
    assert matches == [(1, 0, "bank", "1", "local"), (3, 0, "bank", "1", "local")]
    assert (unsearchable, truncated) == ([0, 2], [])
    # Also where nothing is to be searched.
    assert answer_of(view, HASH_TYPES["dhash64"], [flat, stored]) == ([], [0], [])


@pytest.mark.parametrize("hash_type", DIGESTS, ids=lambda hash_type: hash_type.name)
def test_digests_of_zeros_are_searched(hash_type: HashType, tmp_path: Path) -> None:
    zeros = Hash(hash_type, bytes(hash_type.size_bytes))
    view = view_of({"bank": ModelBank(entries=[entry("1", zeros)])}, tmp_path)
    assert answer_of(view, hash_type, [zeros]) == ([(0, 0, "bank", "1", "local")], [], [])


@ALL_TYPES
def test_no_queries_have_no_matches(hash_type: HashType, tmp_path: Path) -> None:
    stored = random_hash(np.random.default_rng(8), hash_type)
    view = view_of({"bank": ModelBank(entries=[entry("1", stored)])}, tmp_path)
    assert answer_of(view, hash_type, []) == ([], [], [])


@pytest.mark.parametrize("model", [{}, {"bank": ModelBank()}], ids=["no banks", "no entries"])
def test_where_nothing_is_nothing_is_found(model: Model, tmp_path: Path) -> None:
    query = random_hash(np.random.default_rng(9))
    assert answer_of(view_of(model, tmp_path), PHASH64, [query]) == ([], [], [])


def test_a_disabled_bank_answers_nothing_and_is_told_when_named(tmp_path: Path) -> None:
    stored = random_hash(np.random.default_rng(10))
    model = {"off": ModelBank(entries=[entry("1", stored)], enabled=False), "on": ModelBank()}
    view = view_of(model, tmp_path)
    assert answer_of(view, PHASH64, [stored]) == ([], [], [])
    with pytest.raises(BankDisabled, match="bank 'off' is disabled"):
        answer_of(view, PHASH64, [stored], banks=["on", "off"])


def test_an_unknown_bank_is_told(tmp_path: Path) -> None:
    view = view_of({"bank": ModelBank()}, tmp_path)
    with pytest.raises(UnknownName, match="there is no bank 'new'"):
        answer_of(view, MD5, [], banks=["bank", "new"])


@ALL_TYPES
def test_a_radius_out_of_range_is_refused(hash_type: HashType, tmp_path: Path) -> None:
    view = view_of({"bank": ModelBank()}, tmp_path)
    for radius in (-1, hash_type.bits + 1):
        with pytest.raises(InvalidInput, match=f"{radius} is out of range for {hash_type.name}; use 0 to") as caught:
            answer_of(view, hash_type, [], radius=radius)
        assert caught.value.field == "radius"


# Any small registry.


@st.composite
def hashes_around(draw: st.DrawFn, hash_type: HashType) -> Hash:
    """Draw hashes near one of two, so that many are near each other; never a degenerate one."""
    centre = random_hash(np.random.default_rng(draw(st.integers(0, 1))), hash_type)
    return flipped(centre, draw(st.sets(st.integers(0, min(hash_type.bits, 80) - 1), max_size=6)))


@st.composite
def models(draw: st.DrawFn, hash_type: HashType) -> Model:
    hashes = st.lists(hashes_around(hash_type), min_size=1, max_size=3, unique=True).map(tuple)
    entries = st.builds(lambda i, h, s: entry(i, *h, source=s), st.sampled_from("abc"), hashes, st.sampled_from("xy"))
    banks = st.builds(
        ModelBank,
        st.fixed_dictionaries({hash_type.name: st.integers(0, 12)}),
        st.lists(entries, max_size=5, unique_by=lambda each: each.key),
        st.sampled_from([True, True, False]),
    )
    return draw(st.dictionaries(st.sampled_from(["one", "Two", "3"]), banks, max_size=3))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_small_registry_answers_like_the_model(data: st.DataObject) -> None:
    hash_type = data.draw(st.sampled_from([*PERCEPTUAL, *DIGESTS]))
    model = data.draw(models(hash_type))
    queries = data.draw(st.lists(hashes_around(hash_type), max_size=4))
    enabled = [name for name, bank in model.items() if bank.enabled]
    how: dict[str, Any] = {
        "radius": data.draw(st.none() | st.integers(0, 12)),
        "banks": data.draw(st.lists(st.sampled_from(enabled), max_size=2)) if enabled else (),
        "max_matches": data.draw(st.integers(1, 6)),
    }
    with TemporaryDirectory() as folder:
        view = view_of(model, Path(folder))
        assert answer_of(view, hash_type, queries, **how) == expected_of(model, hash_type, queries, **how)
