from __future__ import annotations

import time

import numpy as np
import pytest

from nearhash_index.entries import EntryKey
from nearhash_index.errors import InvalidInput
from nearhash_index.store import Registry
from nearhash_index.store.changes import Author, Disable, Enable, Reinstate, Remove, Unquarantine, Upsert, Withdraw

from ..samples import AUTHOR, entry, random_entries, random_hash, upserts

RNG = np.random.default_rng(1)
FIRST, SECOND = random_hash(RNG), random_hash(RNG)
KEY = EntryKey("a", "local")
ANN, BEN = Author("ann", "why not"), Author("ben")


def everything_done(registry: Registry) -> list[str]:
    """Do everything that can be done, one after the other; return the actions."""
    registry.create_bank("bank", {}, author=ANN)
    registry.update_bank("bank", {"md5": 3}, author=BEN)
    quarantined = entry("a", FIRST)._replace(quarantined=(SECOND,))
    for change in (
        Upsert(quarantined),
        Unquarantine(KEY),
        Disable(KEY, 5),
        Enable(KEY),
        Withdraw(KEY),
        Reinstate(KEY),
        Upsert(entry("a", SECOND)),
        Remove(KEY),
    ):
        assert registry.apply("bank", [change], ANN).unchanged == 0
    changes = ["upsert", "unquarantine", "disable", "enable", "withdraw", "reinstate", "upsert", "remove"]
    return ["create bank", "update bank", *changes]


def test_every_operation_leaves_one_record_the_newest_first(registry: Registry) -> None:
    start_s = int(time.time())
    actions = everything_done(registry)
    records = registry.audit(100)[::-1]
    assert [record.action for record in records] == actions
    assert [(record.first_sequence, record.last_sequence) for record in records] == [(i, i) for i in range(1, 11)]
    assert [(record.actor, record.reason) for record in records] == [ANN, BEN, *[ANN] * 8]
    assert {record.bank for record in records} == {"bank"}
    assert all(start_s <= record.time_s <= time.time() for record in records)
    assert all([tuple(key) for key in record.entries] == [KEY] for record in records[2:])
    assert [record.entries for record in records[:2]] == [[], []]


def test_no_record_holds_a_hash(registry: Registry) -> None:
    everything_done(registry)
    told = repr(registry.audit(100)).lower()
    for item in (FIRST, SECOND):
        assert item.value.hex() not in told
        assert repr(item.value)[2:-1].lower() not in told
        assert str(int.from_bytes(item.value)) not in told


def test_one_call_is_one_record_with_its_counts_and_its_first_entries(registry: Registry) -> None:
    registry.create_bank("bank", {}, author=AUTHOR)
    entries = random_entries(30)
    registry.apply("bank", [*upserts(entries), Remove(entries[7].key), Remove(KEY)], AUTHOR)
    record, _ = registry.audit(100)
    assert record.action == "remove + upsert"
    assert (record.first_sequence, record.last_sequence) == (2, 32)
    assert {name: count for name, count in record.counts.items() if count} == {
        "added": 30,
        "removed": 1,
        "unchanged": 1,
    }
    assert [tuple(key) for key in record.entries] == [each.key for each in entries[:20]]


def test_what_changes_nothing_leaves_no_record(registry: Registry) -> None:
    registry.create_bank("bank", {"md5": 3}, author=AUTHOR)
    registry.apply("bank", [Withdraw(KEY)], AUTHOR)
    before = registry.audit(100)
    registry.update_bank("bank", {"md5": 3}, enabled=True, author=AUTHOR)
    registry.apply("bank", [], AUTHOR)
    registry.apply("bank", [Withdraw(KEY), Enable(KEY), Upsert(entry("a", FIRST))], AUTHOR)
    registry.apply("bank", upserts(random_entries(3)), AUTHOR, dry_run=True)
    with pytest.raises(InvalidInput):
        registry.apply("bank", [Remove(EntryKey("", "local"))], AUTHOR)
    assert registry.audit(100) == before
    assert len(before) == 2


@pytest.mark.parametrize("limit", [1, 9, 10, 11])
def test_the_latest_records_are_read(registry: Registry, limit: int) -> None:
    actions = everything_done(registry)
    assert [record.action for record in registry.audit(limit)] == actions[::-1][:limit]


def test_a_new_registry_has_no_records(registry: Registry) -> None:
    assert registry.audit(5) == []


@pytest.mark.parametrize("author", [Author(""), Author("a\n")])
def test_nobody_changes_anything(registry: Registry, author: Author) -> None:
    registry.create_bank("bank", {}, author=AUTHOR)
    before = registry.sequence(), registry.banks()
    with pytest.raises(InvalidInput):
        registry.create_bank("other", {}, author=author)
    with pytest.raises(InvalidInput):
        registry.update_bank("bank", {"md5": 1}, author=author)
    with pytest.raises(InvalidInput):
        registry.apply("bank", [Withdraw(KEY)], author)
    assert (registry.sequence(), registry.banks()) == before


def test_records_outlive_the_change_log(registry: Registry) -> None:
    everything_done(registry)
    before = registry.audit(100)
    registry.forget_changes(8)
    assert registry.audit(100) == before
