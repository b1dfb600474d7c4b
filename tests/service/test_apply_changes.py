import grpc
import numpy as np
import pytest

from nearhash.v1 import banks_pb2

from .calls import RNG, apply, audit, banks, change, hash_message, remove, upsert
from .violations import refusal, violated_fields

INVALID = grpc.StatusCode.INVALID_ARGUMENT


def test_changes_are_counted_and_the_same_again_changes_nothing(stubs, bank):
    first, second = hash_message(), hash_message()
    changes = [upsert("a", first), upsert("b", second), upsert("c", second, hash_message(5, RNG.bytes(32)))]
    done = apply(stubs, bank, *changes)
    assert (done.added, done.updated, done.removed, done.unchanged) == (3, 0, 0, 0)
    again = apply(stubs, bank, *changes)
    assert (again.added, again.updated, again.removed, again.unchanged) == (0, 0, 0, 3)
    assert again.sequence == done.sequence == stubs.status().sequence
    mixed = apply(stubs, bank, upsert("a", second), remove("b"), remove("never"), upsert("d"))
    assert (mixed.added, mixed.updated, mixed.removed, mixed.unchanged) == (1, 1, 1, 1)
    assert mixed.sequence == done.sequence + 3
    assert banks(stubs)[bank].entry_count == 3


def test_changes_to_one_entry_within_a_call_are_applied_in_order(stubs, bank):
    done = apply(stubs, bank, upsert("a"), remove("a"), upsert("a"), upsert("a", source="other"))
    assert (done.added, done.removed) == (3, 1)
    assert banks(stubs)[bank].entry_count == 2


BY_KEY = ["remove", "withdraw", "enable", "reinstate", "unquarantine"]
LONG_ID = "é" * 128


def disable(entry_id: str, until_s: int) -> banks_pb2.Change:
    return banks_pb2.Change(disable={"key": {"source": "local", "entry_id": entry_id}, "until": {"seconds": until_s}})


def upsert_quarantined(entry_id: str, *hashes: banks_pb2.Hash) -> banks_pb2.Change:
    key = banks_pb2.EntryKey(source="local", entry_id=entry_id)
    return banks_pb2.Change(upsert=banks_pb2.Entry(key=key, quarantined=hashes))


GOOD = hash_message(1, bytes(range(100, 108)))
BAD_CHANGES = {
    "empty": (banks_pb2.Change(), ""),
    "hash type unset": (upsert("x", hash_message(0)), ".upsert.hashes[0].hash_type"),
    "hash type unknown": (upsert("x", GOOD, hash_message(9)), ".upsert.hashes[1].hash_type"),
    "too short": (upsert("x", GOOD, hash_message(5)), ".upsert.hashes[1].value"),
    "no value": (upsert("x", hash_message(1, b"")), ".upsert.hashes[0].value"),
    "degenerate": (upsert("x", GOOD, hash_message(1, bytes(8))), ".upsert.hashes[1].value"),
    "no hash": (banks_pb2.Change(upsert=banks_pb2.Entry(key={"source": "s", "entry_id": "x"})), ".upsert.hashes"),
    "256 hashes": (upsert("x", *[GOOD] * 256), ".upsert.hashes"),
    "no key": (banks_pb2.Change(upsert=banks_pb2.Entry(hashes=[GOOD])), ".upsert.key.source"),
    "bad source": (upsert("x", GOOD, source="a b"), ".upsert.key.source"),
    "no id": (upsert("", GOOD), ".upsert.key.entry_id"),
    "long id": (upsert(LONG_ID, GOOD), ".upsert.key.entry_id"),
    "control character": (upsert("a\nb", GOOD), ".upsert.key.entry_id"),
    "label": (upsert("x", GOOD, labels=["a;b"]), ".upsert.labels"),
    "quarantined too short": (upsert_quarantined("x", hash_message(5)), ".upsert.quarantined[0].value"),
    "disable until before 1970": (disable("x", -1), ".disable.until"),
    "disable until after 2106": (disable("x", 2**32), ".disable.until"),
    "disable without key": (banks_pb2.Change(disable=banks_pb2.Disable()), ".disable.key.source"),
    **{f"{kind} without key": (change(kind, "", ""), f".{kind}.source") for kind in BY_KEY},
    **{f"{kind} long id": (change(kind, LONG_ID), f".{kind}.entry_id") for kind in BY_KEY},
}


@pytest.mark.parametrize(("bad", "field"), BAD_CHANGES.values(), ids=BAD_CHANGES)
def test_one_bad_change_is_named_and_nothing_is_applied(stubs, bank, bad, field):
    before = stubs.status().sequence
    error = refusal(apply, stubs, bank, upsert("first"), upsert("second"), bad, upsert("fourth"))
    assert (error.code(), violated_fields(error)) == (INVALID, [f"changes[2]{field}"])
    assert stubs.status().sequence == before
    assert banks(stubs)[bank].entry_count == 0


@pytest.mark.parametrize("size", [0, 10_001])
def test_calls_without_changes_or_with_too_many_are_refused(stubs, bank, size):
    error = refusal(apply, stubs, bank, *[remove("x")] * size)
    assert (error.code(), violated_fields(error)) == (INVALID, ["changes"])


def test_the_most_changes_are_applied(stubs, bank):
    values = RNG.integers(0, 2**64, 10_000, dtype=np.uint64).astype(">u8")
    done = apply(stubs, bank, *[upsert(f"e{i}", hash_message(1, v.tobytes())) for i, v in enumerate(values)])
    assert done.added == 10_000


OUTCOMES = ("added", "updated", "removed", "unchanged", "withheld")
LIVES = {
    "disabled and enabled": (["disable", "disable", "enable", "enable"], "uuuU"),
    "removed": (["remove", "remove", "enable", "disable"], "rUUU"),
    "withdrawn for good": (["withdraw", "withdraw", "upsert", "remove", "enable", "disable"], "uUwUUU"),
    "reinstated": (["withdraw", "reinstate", "reinstate", "upsert"], "urUa"),
    "withdrawn before it came": (["remove", "withdraw", "upsert", "reinstate", "upsert"], "ruwra"),
}
MEANT = {"a": "added", "u": "updated", "r": "removed", "U": "unchanged", "w": "withheld"}


@pytest.mark.parametrize(("kinds", "outcomes"), LIVES.values(), ids=LIVES)
def test_each_change_counts_by_what_it_did(stubs, bank, kinds, outcomes):
    apply(stubs, bank, upsert("a", GOOD))
    # Disabling twice: the second time with an end, which is another state.
    steps = [
        disable("a", 2**31) if kinds[:i].count("disable") and kind == "disable" else change_or_upsert(kind)
        for i, kind in enumerate(kinds)
    ]
    told = []
    for step in steps:
        before = stubs.status().sequence
        done = apply(stubs, bank, step)
        (outcome,) = (name for name in OUTCOMES if getattr(done, name))
        told.append(outcome)
        assert done.sequence - before == (outcome not in {"unchanged", "withheld"})
    assert told == [MEANT[letter] for letter in outcomes]


def change_or_upsert(kind: str) -> banks_pb2.Change:
    return upsert("a", GOOD) if kind == "upsert" else change(kind, "a")


def stated(made: banks_pb2.Change, seconds: int) -> banks_pb2.Change:
    made.stated_time.seconds = seconds
    return made


def test_what_its_source_stated_earlier_is_not_done(stubs, bank):
    done = apply(stubs, bank, stated(upsert("a", GOOD, labels=["new"]), 2000), stated(change("withdraw", "b"), 2000))
    assert (done.added, done.updated, list(done.older)) == (1, 1, [])
    steps = [
        upsert("c"),
        stated(upsert("a", GOOD, labels=["old"]), 1999),
        stated(change("withdraw", "a"), 1999),
        stated(upsert("b", GOOD), 2000),
    ]
    done = apply(stubs, bank, *steps)
    assert (done.added, list(done.older)) == (1, [1, 2, 3])
    assert {name: count for name, count in audit(stubs, 1)[0].counts.items() if count} == {"added": 1, "older": 3}
    request = banks_pb2.GetEntryRequest(bank=bank, entry_id="a")
    (known,) = stubs.banks.GetEntry(request, timeout=20).entries
    assert (list(known.labels), known.stated_time.seconds) == (["new"], 2000)
    assert apply(stubs, bank, stated(upsert("b", GOOD), 2001)).added == 1


@pytest.mark.parametrize(
    "wrong",
    [
        stated(upsert("a", GOOD), -1),
        stated(upsert("a", GOOD), 2**32),
        stated(change("withdraw", "a"), -1),
        stated(remove("a"), 1000),
        stated(change("enable", "a"), 1000),
    ],
    ids=["negative", "too late", "withdrawn too early", "removal", "enabling"],
)
def test_a_time_that_cannot_be_is_refused(stubs, bank, wrong):
    error = refusal(apply, stubs, bank, upsert("b", GOOD), wrong)
    assert (error.code(), violated_fields(error)) == (INVALID, ["changes[1].stated_time"])
    assert not banks(stubs)[bank].entry_count


def test_a_dry_run_counts_and_changes_nothing(stubs, bank):
    apply(stubs, bank, upsert("a", GOOD), upsert("b", GOOD), change("withdraw", "c"))
    before = stubs.status()
    records = audit(stubs)
    changes = [upsert("a"), remove("b"), upsert("c"), upsert("d"), remove("e")]
    told = apply(stubs, bank, *changes, dry_run=True)
    assert [getattr(told, name) for name in OUTCOMES] == [1] * 5
    assert (stubs.status().sequence, list(stubs.status().banks), audit(stubs)) == (
        before.sequence,
        list(before.banks),
        records,
    )
    done = apply(stubs, bank, *changes)
    assert [getattr(done, name) for name in OUTCOMES] == [1] * 5
    assert done.sequence == before.sequence + 3


def test_the_number_of_entries_leaves_out_what_is_withdrawn_and_nothing_else(stubs, bank):
    apply(stubs, bank, *[upsert(entry_id) for entry_id in "abcd"])
    apply(stubs, bank, change("withdraw", "a"), change("disable", "b"), change("withdraw", "never"), remove("c"))
    assert banks(stubs)[bank].entry_count == 2
    apply(stubs, bank, change("reinstate", "a"), change("enable", "b"), upsert("a"))
    assert banks(stubs)[bank].entry_count == 3
