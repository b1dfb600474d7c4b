"""One numbering over generation and delta, and lookups that see both as one."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from nearhash_index.entries import Entry
from nearhash_index.errors import BankDisabled
from nearhash_index.hash_types import HASH_TYPES, HashType
from nearhash_index.lookup import lookup
from nearhash_index.store import DataDirectory, Registry
from nearhash_index.store.changes import Remove, Upsert
from nearhash_index.store.delta import DeltaFollower
from nearhash_index.view import LocatedEntry, View

from .samples import AUTHOR, PHASH64, entry, flipped, near, random_hash
from .test_lookup import ModelBank, answer_of, codes_of, expected_of, random_model, view_of

RNG = np.random.default_rng(1)
FIRST, SECOND, THIRD = (random_hash(RNG) for _ in range(3))


def changed(view: View, path: Path, *changes: Upsert | Remove, bank: str = "bank") -> View:
    """Return a view of the same generation after more changes."""
    with Registry(DataDirectory(path)) as registry:
        registry.apply(bank, changes, AUTHOR)
        with registry.snapshot() as snapshot:
            delta = DeltaFollower(view.generation, pinned=False).read(snapshot, time.time())
    assert delta is not None
    return View(view.generation, delta)


def is_added(each: Entry) -> bool:
    return each.key.entry_id.startswith("+")


@pytest.fixture
def view(tmp_path: Path) -> View:
    model = {
        "z": ModelBank(entries=[entry("b", FIRST, source="ncmec", labels=("x",)), entry("+c", SECOND, labels=("y",))]),
        "a": ModelBank(entries=[entry("+d", FIRST), entry("e", THIRD)]),
        "m": ModelBank(entries=[entry("+f", THIRD)]),
    }
    return view_of(model, tmp_path, is_added)


def test_entries_are_numbered_through_generation_and_delta(view: View) -> None:
    assert view.first_added == 2
    assert [view.entry(number) for number in range(5)] == [
        LocatedEntry("a", "e", "local", ()),
        LocatedEntry("z", "b", "ncmec", ("x",)),
        LocatedEntry("a", "+d", "local", ()),
        LocatedEntry("m", "+f", "local", ()),
        LocatedEntry("z", "+c", "local", ("y",)),
    ]
    names = [view.banks[i].name for i in view.bank_of(np.arange(5)[::-1])]
    assert names == ["z", "m", "a", "z", "a"]
    assert view.bank_of(np.empty(0, dtype=np.int64)).tolist() == []
    assert view.sequence == view.delta.sequence > view.generation.manifest.sequence


def test_a_bank_made_since_the_generation_shifts_positions_and_nothing_else(view: View, tmp_path: Path) -> None:
    with Registry(DataDirectory(tmp_path)) as registry:
        registry.create_bank("b", {}, author=AUTHOR)
    after = changed(view, tmp_path, Upsert(entry("g", THIRD)), bank="b")
    assert [bank.name for bank in after.banks] == ["a", "b", "m", "z"]
    assert [after.entry(number).bank for number in range(6)] == ["a", "z", "a", "b", "m", "z"]
    assert after.bank_of(np.arange(6)).tolist() == [0, 3, 0, 1, 2, 3]
    matches, _, _ = answer_of(after, PHASH64, [THIRD], banks=["b", "a"])
    assert matches == [(0, 0, "a", "e", "local"), (0, 0, "b", "g", "local")]


@pytest.mark.parametrize("hash_type", HASH_TYPES.values(), ids=HASH_TYPES)
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_where_an_entry_lies_makes_no_difference(hash_type: HashType, share: float, tmp_path: Path) -> None:
    model, queries = random_model(7, hash_type)
    rng = np.random.default_rng(8)
    moved = {each.key for bank in model.values() for each in bank.entries if rng.random() < share}
    view = view_of(model, tmp_path, lambda each: each.key in moved)
    assert len(view.delta.entries) == sum(each.key in moved for bank in model.values() for each in bank.entries)
    for how in ({}, {"radius": 3}, {"max_matches": 2}, {"banks": ["wide"]}, {"banks": ["narrow", "Default"]}):
        assert answer_of(view, hash_type, queries, **how) == expected_of(model, hash_type, queries, **how), how


def test_an_update_replaces_an_entry_and_a_removal_takes_it_out(view: View, tmp_path: Path) -> None:
    after = changed(view, tmp_path, Upsert(entry("b", THIRD, source="ncmec")), Remove(entry("+c").key), bank="z")
    assert answer_of(after, PHASH64, [FIRST, SECOND])[0] == [(0, 0, "a", "+d", "local")]
    found = [match[2:4] for match in answer_of(after, PHASH64, [THIRD])[0]]
    assert found == [("a", "e"), ("m", "+f"), ("z", "b")]
    # The view that was there before answers as before.
    assert answer_of(view, PHASH64, [SECOND])[0] == [(0, 0, "z", "+c", "local")]


def test_matches_of_both_are_sorted_and_cut_as_one(tmp_path: Path) -> None:
    entries = [entry(("+", "")[i % 2] + f"{i}", flipped(FIRST, range(i // 2))) for i in range(8)]
    view = view_of({"bank": ModelBank(entries=entries)}, tmp_path, is_added)
    ordered = sorted((i // 2, entries[i].key.entry_id) for i in range(8))
    for cap in (1, 2, 5, 8):
        matches, _, truncated = answer_of(view, PHASH64, [SECOND, FIRST], max_matches=cap)
        assert [(distance, entry_id) for _, distance, _, entry_id, _ in matches] == ordered[:cap]
        assert truncated == ([1] if cap < 8 else [])


# Allowlists.


@pytest.mark.parametrize("added", ["", "match", "allow", "match allow"])
def test_an_allowlist_suppresses_all_matches_of_its_queries(tmp_path: Path, added: str) -> None:
    model = {
        "allow": ModelBank(
            {"phash64": 2}, [entry("allow-far", flipped(FIRST, [0, 1])), entry("allow", FIRST)], allowlist=True
        ),
        "bank": ModelBank(entries=[entry("match", FIRST), entry("match-2", SECOND), entry("match-3", THIRD)]),
    }
    view = view_of(model, tmp_path, lambda each: each.key.entry_id.split("-")[0] in added.split())
    queries = codes_of(PHASH64, [SECOND, FIRST, flipped(FIRST, range(2, 5)), flipped(FIRST, [0, 1])])
    for banks in ([], ["bank"], ["allow"], ["bank", "allow"]):
        found = lookup(view, PHASH64, queries, radius=None, banks=banks, max_matches=10)
        matches = [(q, view.entry(n).entry_id) for q, n in zip(found.query.tolist(), found.entry.tolist(), strict=True)]
        allowed = [(query, view.entry(number).entry_id) for query, number in found.allowed]
        # Three bits away: beyond the allowlist's radius.
        assert matches == ([(0, "match-2"), (2, "match")] if banks != ["allow"] else [])
        assert allowed == [(1, "allow"), (3, "allow-far")]


def test_an_allowlist_counts_the_radius_asked_for_and_its_own_cut(tmp_path: Path) -> None:
    model = {
        "allow": ModelBank(entries=[entry("fine", near(RNG, FIRST, 5))], allowlist=True),
        "bank": ModelBank(entries=[entry("match", FIRST)]),
    }
    view = view_of(model, tmp_path)
    for radius, suppressed in ((None, True), (5, True), (4, False)):
        found = lookup(view, PHASH64, codes_of(PHASH64, [FIRST]), radius=radius, banks=[], max_matches=1)
        assert (len(found.allowed), len(found.query)) == ((1, 0) if suppressed else (0, 1))
        assert found.truncated.tolist() == []


def test_a_disabled_allowlist_suppresses_nothing(tmp_path: Path) -> None:
    model = {
        "allow": ModelBank(entries=[entry("fine", FIRST)], enabled=False, allowlist=True),
        "bank": ModelBank(entries=[entry("match", FIRST)]),
    }
    view = view_of(model, tmp_path)
    assert answer_of(view, PHASH64, [FIRST])[0] == [(0, 0, "bank", "match", "local")]
    with pytest.raises(BankDisabled):
        answer_of(view, PHASH64, [FIRST], banks=["allow"])
