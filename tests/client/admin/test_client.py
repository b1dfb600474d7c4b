"""Administration, against a real server."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from nearhash_client import (
    AlreadyExists,
    Client,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidRequest,
    NotFound,
    Unavailable,
)
from nearhash_client.admin import (
    AdminClient,
    Disable,
    Enable,
    Entry,
    EntryKey,
    Reinstate,
    Remove,
    Unquarantine,
    Upsert,
    Withdraw,
)
from nearhash_index.store import DataDirectory
from nearhash_service.server import Server

from ...service.running import eventually

HASH = "0123456789abcdef"
KEY = EntryKey("case-1")


@pytest.fixture(scope="module")
def target(tmp_path_factory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("admin")
    address = f"unix:{folder}/socket"
    with Server(DataDirectory.create(folder / "data"), address, reload_interval_s=0.02):
        yield address


@pytest.fixture(scope="module")
def admin(target) -> Iterator[AdminClient]:
    with AdminClient(target) as client:
        yield client


def hashers(target: str, bank: str) -> list[tuple[str, ...]]:
    with Client(target) as client:
        return [match.hashers for match in client.lookup([HASH], banks=[bank]).matches]


def matched(target: str, bank: str, value: str = HASH, hash_type: str = "phash64") -> list[str]:
    with Client(target) as client:
        return [match.entry_id for match in client.lookup([value], hash_type=hash_type, banks=[bank]).matches]


def test_a_bank_is_made_changed_and_listed(admin):
    made = admin.create_bank("listed", radii={"phash64": 5, "md5": 1}, labels=["photos"], allowlist=True)
    assert (made.name, made.enabled, made.allowlist, made.labels) == ("listed", True, True, ("photos",))
    assert (made.radii["phash64"], made.radii["md5"], made.radii["pdq256"], len(made.radii)) == (5, 1, 31, 8)
    with pytest.raises(AlreadyExists):
        admin.create_bank("listed")
    changed = admin.update_bank("listed", radii={"phash64": 3}, enabled=False)
    assert (changed.enabled, changed.radii["phash64"], changed.radii["md5"]) == (False, 3, 1)
    assert changed in admin.list_banks(timeout_s=20)
    relabelled = admin.update_bank("listed", labels=["videos", "seen"], allowlist=False)
    assert (relabelled.labels, relabelled.allowlist, relabelled.radii) == (("videos", "seen"), False, changed.radii)
    assert admin.update_bank("listed", labels=[]).labels == ()
    with pytest.raises(NotFound, match="nobody"):
        admin.update_bank("nobody")


def test_entries_are_changed_and_matched_accordingly(admin, target):
    admin.create_bank("changing")
    admin.publish()
    entry = Entry(KEY, [("phash64", HASH), ("md5", bytes(range(16)))], labels=["people"], hashers=["imagehash 4", ""])
    told = admin.apply_changes("changing", [Upsert(entry), Remove(EntryKey("not-there"))], reason="reviewed")
    assert (told.added, told.updated, told.removed, told.unchanged, told.withheld) == (1, 0, 0, 1, 0)
    eventually(lambda: matched(target, "changing") == ["case-1"])
    assert admin.apply_changes("changing", [Upsert(entry)]).unchanged == 1
    assert hashers(target, "changing") == [("imagehash 4",)]
    (stored,) = admin.get_entry("changing", "case-1").entries
    assert (stored.key, stored.state, stored.matched, stored.disabled_until) == (KEY, "active", True, None)
    assert (stored.hash_types, stored.labels) == (("phash64", "md5"), ("people", "hasher=imagehash 4"))
    with pytest.raises(NotFound):
        admin.get_entry("changing", "case-2")
    until = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    for change, found in ((Disable(KEY, until), []), (Enable(KEY), ["case-1"]), (Disable(KEY), [])):
        assert admin.apply_changes("changing", [change]).updated == 1
        if change == Disable(KEY, until):
            (stored,) = admin.get_entry("changing", "case-1").entries
            assert (stored.state, stored.disabled_until) == ("disabled", until)
        eventually(lambda found=found: matched(target, "changing") == found)
    assert admin.withdraw("changing", KEY, actor="alice", reason="asked for").updated == 1
    assert admin.apply_changes("changing", [Upsert(entry)]).withheld == 1
    assert admin.apply_changes("changing", [Reinstate(KEY)]).sequence > told.sequence
    assert admin.apply_changes("changing", [Upsert(entry)], dry_run=True).added == 1
    assert matched(target, "changing") == []


def test_what_a_source_stated_before_changes_nothing(admin):
    admin.create_bank("stated")
    now = datetime.now(UTC).replace(microsecond=0)
    entry = Entry(KEY, [("phash64", HASH)], quality=90)
    assert admin.apply_changes("stated", [Upsert(entry, stated_time=now)]).added == 1
    told = admin.apply_changes("stated", [Remove(EntryKey("b")), Withdraw(KEY, stated_time=now - timedelta(seconds=1))])
    assert (told.older, told.updated) == ((1,), 0)
    (stored,) = admin.get_entry("stated", "case-1").entries
    assert (stored.state, stored.stated_time, stored.quality) == ("active", now, 90)


def test_quarantined_hashes_are_listed_and_released(admin, target):
    admin.create_bank("aside")
    admin.publish()
    entry = Entry(KEY, [], labels=["flat"], quarantined=[("phash64", HASH)])
    admin.apply_changes("aside", [Upsert(entry)])
    (found,) = admin.list_quarantine("aside")
    assert (found.key, found.labels, found.hash_types) == (KEY, ("flat",), ("phash64",))
    assert len(found.reasons) == 1
    admin.apply_changes("aside", [Unquarantine(KEY)])
    assert admin.list_quarantine("aside", limit=5) == ()
    eventually(lambda: matched(target, "aside") == ["case-1"])


def test_publishing_and_rolling_back(admin, target):
    admin.create_bank("published")
    before = admin.publish().generation
    admin.apply_changes("published", [Upsert(Entry(KEY, [("phash64", HASH)]))])
    foreseen = admin.publish(dry_run=True)
    assert foreseen.generation is None
    assert [(d.added, d.updated, d.removed) for d in foreseen.diffs if d.bank == "published"] == [(1, 0, 0)]
    made = admin.publish(reason="reviewed").generation
    assert (made.number, made.entry_count, made.segments["phash64"]) == (
        before.number + 1,
        before.entry_count + 1,
        before.segments.get("phash64", 0) + 1,
    )
    assert abs(made.create_time - datetime.now(UTC)) < timedelta(minutes=2)
    back = admin.rollback(actor="bob", reason="a bad list")
    assert (back.number, back.pinned) == (before.number, True)
    with pytest.raises(FailedPrecondition, match="pinned"):
        admin.publish()
    eventually(lambda: admin.status().worker.generation == before.number)
    eventually(lambda: matched(target, "published") == [])
    status = admin.status()
    assert (status.current.number, status.build) == (before.number, None)
    assert status.banks == admin.list_banks()
    assert status.workers == ()  # none of `nearhash serve` posts there
    assert {plan.hash_type for plan in status.plans} == set(before.segments)
    assert admin.release().number == made.number
    assert [g.number for g in admin.list_generations() if g.current] == [made.number]
    released, rolled_back, published, upserted = admin.list_audit(limit=4)
    assert (released.action.split()[0], published.author.reason) == ("release", "reviewed")
    assert (rolled_back.author.reason, "bob" in rolled_back.author.actor) == ("a bad list", True)
    assert (upserted.action, upserted.bank, upserted.entries) == ("upsert", "published", (KEY,))
    assert (upserted.counts["added"], upserted.counts["updated"]) == (1, 0)
    assert upserted.first_sequence == upserted.last_sequence == made.sequence


def test_random_matches_are_estimated(admin):
    admin.create_bank("many")
    rng = np.random.default_rng(5)
    entries = [Entry(EntryKey(str(i)), [("pdq256", rng.bytes(32))]) for i in range(120)]
    admin.apply_changes("many", list(map(Upsert, entries)))
    admin.publish()
    eventually(lambda: admin.status().worker.sequence == admin.status().sequence)
    estimate = admin.estimate_matches("many", "pdq256")
    assert (estimate.hash_count, estimate.copies_radius, len(estimate.estimates)) == (120, None, 257)
    with pytest.raises(InvalidRequest):
        admin.estimate_matches("many", "md5")


WRONG = {
    "changes[1].entry.hashes[0]: found 3 characters": lambda a: a.apply_changes(
        "b", [Remove(KEY), Upsert(Entry(KEY, [("phash64", "abc")]))]
    ),
    "changes[0].until: found a time without a zone": lambda a: a.apply_changes(
        "b", [Disable(KEY, datetime(2030, 1, 1))]
    ),
    "changes[0].entry.quality: found 101": lambda a: a.apply_changes("b", [Upsert(Entry(KEY, [], quality=101))]),
    "changes[0]: found EntryKey": lambda a: a.apply_changes("b", [KEY]),
    "radii['phash64']: found 65": lambda a: a.create_bank("b", radii={"phash64": 65}),
    "radii: found list": lambda a: a.create_bank("b", radii=[("phash64", 3)]),
    "hash_type: found 'phash'": lambda a: a.estimate_matches("b", "phash"),
    "generation: found -1": lambda a: a.rollback(-1),
    "limit: found -1": lambda a: a.list_audit(limit=-1),
}


@pytest.mark.parametrize(("told", "call"), WRONG.items(), ids=WRONG)
def test_what_is_wrong_is_named_before_anything_is_sent(told, call):
    # Nobody listens there.
    with AdminClient("unix:/not-there") as admin, pytest.raises(InvalidRequest) as caught:
        call(admin)
    assert str(caught.value).startswith(told)
    assert HASH not in str(caught.value)


def test_time_and_absence_are_typed_errors(tmp_path):
    with AdminClient(f"unix:{tmp_path}/nobody") as admin:
        with pytest.raises((Unavailable, DeadlineExceeded)):
            admin.status(timeout_s=0.2)
        with pytest.raises(Unavailable):
            # Not one of the calls that are retried.
            admin.publish(timeout_s=20)
