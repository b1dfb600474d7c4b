"""What is found near a few hashes in a view, against the lookup of any number."""

from __future__ import annotations

import gc
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

from nearhash_index import calibration
from nearhash_index.codes import codes_from_bytes
from nearhash_index.entries import Entry, Hash
from nearhash_index.hash_types import HASH_TYPES, HashType
from nearhash_index.lookup import lookup
from nearhash_index.store import DataDirectory, Generation, Registry, publish
from nearhash_index.store.changes import Change, Remove
from nearhash_index.store.delta import DeltaFollower
from nearhash_index.view import View

from .samples import AUTHOR, PHASH64, entry, near, random_hash, upserts

RNG = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def tables(monkeypatch) -> None:
    """Let the few codes of a test have tables."""
    monkeypatch.setattr(calibration, "brute_force_ns", lambda words, radius: 50.0 * words + radius / 50)


def view_of(path: Path, banks: dict[str, list[Entry]], later: dict[str, list[Change]], allowlist: str = "") -> View:
    """Return a view of banks, of each the name and entries, and of later changes in the delta.

    Another bank has as many entries as it takes for a table.
    """
    fillers = [entry(f"{i}", *(random_hash(RNG, hash_type) for hash_type in HASH_TYPES.values())) for i in range(1000)]
    banks = banks | {"filler": fillers}
    directory = DataDirectory.create(path)
    with Registry(directory) as registry:
        for i, (name, entries) in enumerate(banks.items()):
            radii = {hash_type.name: hash_type.default_radius + 2 * i for hash_type in HASH_TYPES.values()}
            registry.create_bank(name, radii, allowlist=name == allowlist, author=AUTHOR)
            registry.apply(name, upserts(entries), AUTHOR)
    generation = Generation.open(directory.generation_path(publish(path).number))
    with Registry(directory) as registry:
        for name, changes in later.items():
            registry.apply(name, changes, AUTHOR)
        with registry.snapshot() as snapshot:
            delta = DeltaFollower(generation, pinned=False).read(snapshot, time.time())
    assert delta is not None
    return View(generation, delta)


def both(
    view: View, hash_type: HashType, *queries: Hash
) -> tuple[list[tuple[int, int, int]] | None, list[tuple[int, int, int]]]:
    """Return what is told of hashes, and what is to be told."""
    packed = b"".join(query.value for query in queries)
    found = lookup(view, hash_type, codes_from_bytes(packed, hash_type), radius=None, banks=(), max_matches=1000)
    quick = view.reach(hash_type, None, ()).quick
    assert quick is not None
    return quick.find(packed), list(
        zip(found.query.tolist(), found.distance.tolist(), found.entry.tolist(), strict=True)
    )


@pytest.mark.parametrize("hash_type", HASH_TYPES.values(), ids=HASH_TYPES)
def test_it_is_what_a_lookup_finds(hash_type: HashType, tmp_path: Path) -> None:
    hashes = [random_hash(RNG, hash_type) for _ in range(300)]
    copies = [near(RNG, item, i % 3) for i, item in enumerate(hashes)]
    banks = {
        "narrow": [entry(f"{i}", item, source=("s", "t")[i % 2]) for i, item in enumerate(hashes)],
        "wide": [
            entry(f"{i}", *dict.fromkeys([item, copy]))
            for i, (item, copy) in enumerate(zip(hashes, copies, strict=True))
        ],
    }
    removed: list[Change] = [Remove(each.key) for each in banks["narrow"][:100]]
    added = [random_hash(RNG, hash_type) for _ in range(20)]
    later = {"narrow": removed, "wide": list(upserts(entry(f"new-{i}", item) for i, item in enumerate(added)))}
    view = view_of(tmp_path, banks, later)
    reach, absent = hash_type.default_radius, 0
    for item in hashes[:200]:
        for distance in (0, reach, reach + 1, reach + 2, reach + 3):
            told, expected = both(view, hash_type, near(RNG, item, distance))
            assert told == expected
            assert told or distance > reach + 2
            absent += not told
    assert absent > 50
    for size in (2, 7, 16):
        for begin in range(0, 200 - size, size):
            queries = [near(RNG, item, reach + RNG.integers(0, 4)) for item in hashes[begin : begin + size]]
            told, expected = both(view, hash_type, *queries)
            assert told == expected
    for item in added:
        assert both(view, hash_type, hashes[0], item)[0] is None
        assert both(view, hash_type, item)[0] is None
        assert both(view, hash_type, random_hash(RNG, hash_type)) == ([], [])


def test_a_view_that_is_over_is_gone_at_once(tmp_path: Path) -> None:
    view = view_of(tmp_path, {}, {})
    quick = view.reach(PHASH64, None, ()).quick
    assert quick is not None
    assert quick.find(random_hash(RNG).value) == []
    seen = weakref.ref(view)
    del quick
    gc.disable()
    try:
        del view
        assert seen() is None
    finally:
        gc.enable()


def test_a_hash_of_many_entries_is_left_to_the_lookup(tmp_path: Path) -> None:
    rare, common = random_hash(RNG), random_hash(RNG)
    entries = [entry(f"{i:03}", *[rare] * (i < 64), common) for i in range(65)]
    view = view_of(tmp_path, {"bank": entries}, {})
    told, expected = both(view, PHASH64, rare)
    assert told == expected == [(0, 0, i) for i in range(64)]
    assert both(view, PHASH64, common)[0] is None


def test_where_there_is_an_allowlist_only_nothing_is_told(tmp_path: Path) -> None:
    hashes = [random_hash(RNG) for _ in range(200)]
    banks = {"bank": [entry(f"{i}", item) for i, item in enumerate(hashes)], "allowed": [entry("a", hashes[0])]}
    view = view_of(tmp_path, banks, {}, allowlist="allowed")
    assert all(both(view, PHASH64, item)[0] is None for item in hashes)
    assert both(view, PHASH64, random_hash(RNG)) == ([], [])
