import grpc
import pytest

from nearhash.v1 import banks_pb2

from .calls import RNG, apply, banks, hash_message, remove, upsert
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


LONG_ID = "é" * 128
GOOD = hash_message(1, bytes(range(100, 108)))
BAD_CHANGES = {
    "empty": (banks_pb2.Change(), ""),
    "hash type unset": (upsert("x", hash_message(0)), ".upsert.hashes[0].hash_type"),
    "hash type unknown": (upsert("x", GOOD, hash_message(9)), ".upsert.hashes[1].hash_type"),
    "too short": (upsert("x", GOOD, hash_message(5)), ".upsert.hashes[1].value"),
    "no value": (upsert("x", hash_message(1, b"")), ".upsert.hashes[0].value"),
    "degenerate": (upsert("x", GOOD, hash_message(1, bytes(8))), ".upsert.hashes[1].value"),
    "no hash": (banks_pb2.Change(upsert=banks_pb2.Entry(key={"source": "s", "entry_id": "x"})), ".upsert.hashes"),
    "65 hashes": (upsert("x", *[GOOD] * 65), ".upsert.hashes"),
    "no key": (banks_pb2.Change(upsert=banks_pb2.Entry(hashes=[GOOD])), ".upsert.key.source"),
    "bad source": (upsert("x", GOOD, source="a b"), ".upsert.key.source"),
    "no id": (upsert("", GOOD), ".upsert.key.entry_id"),
    "long id": (upsert(LONG_ID, GOOD), ".upsert.key.entry_id"),
    "control character": (upsert("a\nb", GOOD), ".upsert.key.entry_id"),
    "label": (upsert("x", GOOD, labels=["a;b"]), ".upsert.labels"),
    "remove without key": (banks_pb2.Change(remove=banks_pb2.EntryKey()), ".remove.source"),
    "remove long id": (remove(LONG_ID), ".remove.entry_id"),
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


