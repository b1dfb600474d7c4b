from __future__ import annotations

import stat
from contextlib import ExitStack
from pathlib import Path

import lmdb
import numpy as np
import pytest

from nearhash_index.entries import Bank, Entry, EntryKey, Hash
from nearhash_index.errors import AlreadyExists, InvalidInput, NearHashIndexError, StorageFailed, UnknownName
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import DataDirectory, Registry
from nearhash_index.store import registry as registry_module
from nearhash_index.store.changes import ChangeCounts, Remove, Upsert, Withdraw

from ..samples import AUTHOR, MD5, PDQ256, PHASH64, entry, random_entries, random_hash, upserts
from . import children
from .child import BANK, batch

RNG = np.random.default_rng(1)
FIRST, SECOND = random_hash(RNG), random_hash(RNG)
A = entry("a", FIRST)
B = entry("b", SECOND, labels=("x", "y"))
FLAT = entry("flat", Hash(PHASH64, bytes.fromhex("8000000000000000")))


def entries_of(registry: Registry, bank: str) -> list[Entry]:
    with registry.snapshot() as snapshot:
        return [stored.entry for stored in snapshot.entries(bank)]


def everything(registry: Registry) -> tuple[int, list[Bank], dict[str, list[Entry]]]:
    return registry.sequence(), registry.banks(), {b.name: entries_of(registry, b.name) for b in registry.banks()}


def changes_logged(path: Path) -> int:
    env = lmdb.open(str(DataDirectory(path).registry_path), readonly=True, max_dbs=5)
    with env, env.begin() as txn:
        return int(txn.stat(env.open_db(b"changes", txn))["entries"])


def test_a_new_registry_is_empty(registry: Registry) -> None:
    assert everything(registry) == (0, [], {})


def test_banks_are_listed_by_name_with_their_radii_and_labels(registry: Registry) -> None:
    defaults = {name: t.default_radius for name, t in HASH_TYPES.items()}
    second = registry.create_bank("second", {"pdq256": 20}, ("urgent",), author=AUTHOR)
    first = registry.create_bank("First", {}, author=AUTHOR)
    assert second == Bank("second", defaults | {"pdq256": 20}, enabled=True, labels=("urgent",), entry_count=0)
    assert registry.banks() == [first, second]
    assert registry.sequence() == 2


@pytest.mark.parametrize(
    ("name", "radii", "labels", "field"),
    [
        ("no name", {}, (), "name"),
        ("bank", {"pdq256": 257}, (), "radii[pdq256]"),
        ("bank", {"pdq": 3}, (), "radii.hash_type"),
        ("bank", {}, ("",), "labels"),
    ],
)
def test_a_bank_that_cannot_be_is_refused(
    registry: Registry, name: str, radii: dict[str, int], labels: tuple[str, ...], field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        registry.create_bank(name, radii, labels, author=AUTHOR)
    assert caught.value.field == field
    assert everything(registry) == (0, [], {})


def test_a_bank_is_created_once(registry: Registry) -> None:
    bank = registry.create_bank("bank", {"pdq256": 20}, author=AUTHOR)
    with pytest.raises(AlreadyExists, match="there is a bank 'bank' already"):
        registry.create_bank("bank", {}, author=AUTHOR)
    assert (registry.sequence(), registry.banks()) == (1, [bank])


def test_updating_a_bank_changes_what_is_named_and_nothing_else(registry: Registry) -> None:
    bank = registry.create_bank("bank", {"pdq256": 20}, ("urgent",), author=AUTHOR)
    registry.apply("bank", [Upsert(A)], AUTHOR)
    changed = registry.update_bank("bank", {"phash64": 3}, author=AUTHOR)
    assert changed == Bank("bank", {**bank.radii, "phash64": 3}, enabled=True, labels=("urgent",), entry_count=1)
    disabled = registry.update_bank("bank", {}, enabled=False, author=AUTHOR)
    assert disabled == Bank("bank", changed.radii, enabled=False, labels=("urgent",), entry_count=1)
    assert (registry.sequence(), registry.banks()) == (4, [disabled])
    allowing = registry.update_bank("bank", {}, labels=("b", "a", "b"), allowlist=True, author=AUTHOR)
    assert allowing == disabled._replace(labels=("b", "a"), allowlist=True)
    bare = registry.update_bank("bank", {}, labels=(), author=AUTHOR)
    assert bare == allowing._replace(labels=())
    assert (registry.sequence(), registry.banks()) == (6, [bare])


def test_updating_a_bank_to_what_it_is_changes_nothing(registry: Registry) -> None:
    bank = registry.create_bank("bank", {"pdq256": 20}, author=AUTHOR)
    same = registry.update_bank("bank", {"pdq256": 20}, enabled=True, labels=(), allowlist=False, author=AUTHOR)
    assert same == bank
    assert registry.sequence() == 1


@pytest.mark.parametrize(
    ("name", "radii", "error"),
    [("other", {}, UnknownName), ("bank", {"md5": 129}, InvalidInput), ("no name", {}, InvalidInput)],
)
def test_a_wrong_update_changes_nothing(
    registry: Registry, name: str, radii: dict[str, int], error: type[NearHashIndexError]
) -> None:
    registry.create_bank("bank", {}, author=AUTHOR)
    before = everything(registry)
    with pytest.raises(error):
        registry.update_bank(name, radii, enabled=False, author=AUTHOR)
    assert everything(registry) == before


def test_changes_are_counted_and_each_real_one_takes_a_sequence(registry: Registry) -> None:
    registry.create_bank("bank", {}, author=AUTHOR)
    assert registry.apply("bank", upserts([A, B]), AUTHOR) == ChangeCounts(3, added=2)
    relabelled = entry("a", FIRST, labels=("new",))
    changes = [
        Upsert(relabelled),
        Upsert(B),
        Remove(B.key),
        Upsert(entry("c", SECOND)),
        Remove(EntryKey("never", "local")),
    ]
    assert registry.apply("bank", changes, AUTHOR) == ChangeCounts(6, added=1, updated=1, removed=1, unchanged=2)
    assert registry.sequence() == 6
    assert entries_of(registry, "bank") == [relabelled, entry("c", SECOND)]
    assert registry.banks()[0].entry_count == 2


def test_the_same_changes_again_change_nothing(registry: Registry) -> None:
    registry.create_bank("bank", {}, author=AUTHOR)
    changes = [*upserts([A, B]), Remove(EntryKey("c", "local"))]
    registry.apply("bank", changes, AUTHOR)
    before = everything(registry)
    assert registry.apply("bank", changes, AUTHOR) == ChangeCounts(before[0], unchanged=3)
    assert registry.apply("bank", [], AUTHOR) == ChangeCounts(before[0])
    assert everything(registry) == before


def test_a_later_statement_of_the_same_is_remembered_and_is_no_change(path: Path) -> None:
    with Registry(DataDirectory(path)) as registry:
        registry.create_bank("bank", {}, author=AUTHOR)
        assert registry.apply("bank", [Upsert(A, 10), Upsert(B)], AUTHOR).added == 2
        before = everything(registry), len(registry.audit(10))
        assert registry.apply("bank", [Upsert(A, 20), Upsert(B, 20)], AUTHOR) == ChangeCounts(3, unchanged=2)
        assert (everything(registry), len(registry.audit(10))) == before
    with Registry(DataDirectory(path)) as registry:
        older = [Upsert(entry("c", FIRST), 1), Upsert(entry("a", SECOND), 19), Upsert(B), Withdraw(B.key, 19)]
        assert registry.apply("bank", older, AUTHOR) == ChangeCounts(4, added=1, unchanged=1, older=(1, 3))
        assert registry.audit(1)[0].counts["older"] == 2
        assert entries_of(registry, "bank") == [A, B, entry("c", FIRST)]


def test_changes_of_one_entry_are_made_in_order(registry: Registry) -> None:
    registry.create_bank("bank", {}, author=AUTHOR)
    changes = [Upsert(A), Remove(A.key), *upserts([entry("a", SECOND), entry("a", FIRST, SECOND)])]
    assert registry.apply("bank", changes, AUTHOR) == ChangeCounts(5, added=2, updated=1, removed=1)
    assert entries_of(registry, "bank") == [entry("a", FIRST, SECOND)]
    assert registry.banks()[0].entry_count == 1


@pytest.mark.parametrize("position", [0, 1, 4])
@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (FLAT, "upsert.hashes[0].value"),
        (entry("a", FIRST, Hash(PDQ256, b"\xff" * 32)), "upsert.hashes[1].value"),
        (entry("a", FIRST, Hash(MD5, b"short")), "upsert.hashes[1].value"),
        (entry("a"), "upsert.hashes"),
        (entry("", FIRST), "upsert.key.entry_id"),
        (entry("a", FIRST, source="no source"), "upsert.key.source"),
        (entry("a", FIRST, labels=("a;b",)), "upsert.labels"),
        (Remove(EntryKey("", "local")), "remove.entry_id"),
        (Remove(EntryKey("a", "")), "remove.source"),
    ],
)
def test_one_bad_change_undoes_all(registry: Registry, position: int, bad: Entry | Remove, field: str) -> None:
    registry.create_bank("bank", {}, author=AUTHOR)
    registry.apply("bank", upserts([A, B]), AUTHOR)
    before = everything(registry)
    changes = [Remove(A.key), *upserts([entry("b", FIRST), entry("c", FIRST), entry("d", FIRST)])]
    changes.insert(position, Upsert(bad) if isinstance(bad, Entry) else bad)
    with pytest.raises(InvalidInput) as caught:
        registry.apply("bank", changes, AUTHOR)
    assert caught.value.field == f"changes[{position}].{field}"
    assert everything(registry) == before


def test_an_unknown_bank_is_refused(registry: Registry) -> None:
    with pytest.raises(UnknownName, match="there is no bank 'bank'; create it first"):
        registry.apply("bank", [Upsert(A)], AUTHOR)
    assert registry.sequence() == 0


def test_two_sources_assert_one_entry_and_hash_apart(registry: Registry) -> None:
    registry.create_bank("bank", {}, author=AUTHOR)
    ours, theirs = entry("a", FIRST), entry("a", FIRST, source="ncmec")
    registry.apply("bank", upserts([theirs, ours]), AUTHOR)
    assert entries_of(registry, "bank") == [ours, theirs]
    assert registry.apply("bank", [Remove(ours.key)], AUTHOR).removed == 1
    assert entries_of(registry, "bank") == [theirs]


def test_banks_keep_their_entries_apart(registry: Registry) -> None:
    for name in ("one", "other"):
        registry.create_bank(name, {}, author=AUTHOR)
        registry.apply(name, [Upsert(A)], AUTHOR)
    registry.apply("one", [Remove(A.key), Upsert(B)], AUTHOR)
    assert (entries_of(registry, "one"), entries_of(registry, "other")) == ([B], [A])
    assert [bank.entry_count for bank in registry.banks()] == [1, 1]


def test_an_entry_keeps_several_hashes_and_loses_one_by_an_upsert(registry: Registry) -> None:
    registry.create_bank("bank", {}, author=AUTHOR)
    several = entry("a", FIRST, random_hash(RNG, PDQ256), Hash(MD5, bytes(16)), SECOND)
    registry.apply("bank", upserts([several]), AUTHOR)
    assert entries_of(registry, "bank") == [several]
    assert registry.apply("bank", upserts([entry("a", *several.hashes[1:])]), AUTHOR).updated == 1
    assert entries_of(registry, "bank") == [entry("a", *several.hashes[1:])]


def test_entries_are_read_by_id_and_source(registry: Registry) -> None:
    registry.create_bank("bank", {}, author=AUTHOR)
    entries = [entry(i, FIRST, source=s) for i in ("b", "a", "ab", "\N{SNOWMAN}") for s in ("z", "Z", "local")]
    registry.apply("bank", upserts(entries), AUTHOR)
    assert entries_of(registry, "bank") == sorted(entries, key=lambda e: e.key)


def test_everything_is_there_after_opening_again(path: Path) -> None:
    with Registry(DataDirectory(path)) as registry:
        registry.create_bank("bank", {"pdq256": 20}, ("urgent",), author=AUTHOR)
        registry.apply("bank", upserts([A, B, *random_entries(1000)]), AUTHOR)
        registry.update_bank("bank", {}, enabled=False, author=AUTHOR)
        before = everything(registry)
    with Registry(DataDirectory(path)) as registry:
        assert everything(registry) == before
        assert before[0] == 1004
        assert registry.apply("bank", [Remove(A.key)], AUTHOR) == ChangeCounts(1005, removed=1)


def test_a_snapshot_does_not_move(registry: Registry) -> None:
    registry.create_bank("bank", {}, author=AUTHOR)
    registry.apply("bank", [Upsert(A)], AUTHOR)
    banks = registry.banks()
    with registry.snapshot() as snapshot:
        registry.apply("bank", [Remove(A.key), Upsert(B)], AUTHOR)
        registry.create_bank("another", {}, author=AUTHOR)
        entries = [stored.entry for stored in snapshot.entries("bank")]
        assert (snapshot.sequence, snapshot.banks, entries) == (2, banks, [A])
    assert registry.sequence() == 5
    assert entries_of(registry, "bank") == [B]


def test_many_snapshots_may_be_held_at_once(registry: Registry) -> None:
    registry.create_bank("bank", {}, author=AUTHOR)
    with ExitStack() as stack:
        snapshots = [stack.enter_context(registry.snapshot()) for _ in range(2500)]
        registry.apply("bank", [Upsert(A)], AUTHOR)
        assert {snapshot.sequence for snapshot in snapshots} == {1}
    assert registry.sequence() == 2


@pytest.mark.parametrize("up_to", [0, 1, 50, 100, 101, 102, 1000])
def test_forgetting_changes_keeps_the_sequence_and_the_entries(path: Path, up_to: int) -> None:
    with Registry(DataDirectory(path)) as registry:
        registry.create_bank("bank", {}, author=AUTHOR)
        registry.apply("bank", upserts(random_entries(100)), AUTHOR)
        before = everything(registry)
        registry.forget_changes(up_to)
        assert everything(registry) == before
    assert changes_logged(path) == 101 - min(up_to, 100)
    with Registry(DataDirectory(path)) as registry:
        assert everything(registry) == before
        assert registry.apply("bank", [Upsert(A)], AUTHOR) == ChangeCounts(102, added=1)


def test_many_changes_are_forgotten_in_several_transactions(registry: Registry, monkeypatch) -> None:
    monkeypatch.setattr(registry_module, "_FORGOTTEN_AT_ONCE", 30)
    registry.create_bank("bank", {}, author=AUTHOR)
    registry.apply("bank", upserts(random_entries(100)), AUTHOR)
    before, transaction = everything(registry), registry._env.info()["last_txnid"]
    registry.forget_changes(100)
    # 30, 30, 30 and 10.
    assert registry._env.info()["last_txnid"] == transaction + 4
    assert everything(registry) == before


def test_an_empty_registry_has_no_changes_to_forget(registry: Registry) -> None:
    registry.forget_changes(0)
    assert everything(registry) == (0, [], {})


def test_two_processes_write_at_once_and_lose_nothing(path: Path) -> None:
    with Registry(DataDirectory(path)) as registry:
        registry.create_bank(BANK, {}, author=AUTHOR)
    writers = [children.start("apply", path, name, 0, 40, 25) for name in ("one", "other")]
    acknowledged = [[int(line.split()[1]) for line in children.finish(writer)] for writer in writers]
    with Registry(DataDirectory(path)) as registry:
        expected = [e for name in ("one", "other") for number in range(40) for e in batch(name, number, 25)]
        assert entries_of(registry, BANK) == expected
        assert registry.banks()[0].entry_count == 2000
        assert registry.sequence() == 2001
    # Every batch ended on a sequence of its own.
    assert sorted(acknowledged[0] + acknowledged[1]) == list(range(26, 2002, 25))


def test_a_registry_that_is_none_is_named(path: Path) -> None:
    folder = DataDirectory(path).registry_path
    folder.mkdir()
    (folder / "data.mdb").write_bytes(b"garbage" * 5000)
    with pytest.raises(StorageFailed, match=f"the registry {folder} cannot be opened"):
        Registry(DataDirectory(path))


@pytest.mark.usefixtures("registry")
def test_its_folder_is_for_its_user_alone_who_need_not_be_root(path):
    assert stat.S_IMODE(DataDirectory(path).registry_path.stat().st_mode) == 0o700
