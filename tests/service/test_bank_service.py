from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from time import time

import grpc
import numpy as np
import pytest

from nearhash.v1 import banks_pb2
from nearhash_index.hash_types import HASH_TYPES

from .running import connected, eventually, serving
from .sample import DISABLED, EMPTY, NARROW, WIDE
from .violations import refusal, violated_fields

INVALID = grpc.StatusCode.INVALID_ARGUMENT
RNG = np.random.default_rng(5)
DEFAULT_RADII = {t.number: t.default_radius for t in HASH_TYPES.values()}
_numbers = count()


def radii(**of_type: int) -> list[banks_pb2.Radius]:
    return [banks_pb2.Radius(hash_type=HASH_TYPES[name].number, radius=radius) for name, radius in of_type.items()]


def radii_of(bank: banks_pb2.Bank) -> dict[int, int]:
    return {item.hash_type: item.radius for item in bank.radii}


def hash_message(number: int = 1, value: bytes | None = None) -> banks_pb2.Hash:
    return banks_pb2.Hash(hash_type=number, value=RNG.bytes(8) if value is None else value)


def upsert(entry_id: str, *hashes: banks_pb2.Hash, source: str = "local", labels=()) -> banks_pb2.Change:
    key = banks_pb2.EntryKey(source=source, entry_id=entry_id)
    return banks_pb2.Change(upsert=banks_pb2.Entry(key=key, hashes=hashes or [hash_message()], labels=labels))


def remove(entry_id: str, source: str = "local") -> banks_pb2.Change:
    return banks_pb2.Change(remove=banks_pb2.EntryKey(source=source, entry_id=entry_id))


def create(stubs, name: str, **fields) -> banks_pb2.Bank:
    return stubs.banks.CreateBank(banks_pb2.CreateBankRequest(name=name, **fields), timeout=20).bank


def update(stubs, name: str, **fields) -> banks_pb2.Bank:
    return stubs.banks.UpdateBank(banks_pb2.UpdateBankRequest(name=name, **fields), timeout=20).bank


def apply(stubs, bank: str, *changes: banks_pb2.Change) -> banks_pb2.ApplyChangesResponse:
    return stubs.banks.ApplyChanges(banks_pb2.ApplyChangesRequest(bank=bank, changes=changes), timeout=20)


def rollback(stubs, generation: int = 0) -> banks_pb2.Generation:
    return stubs.banks.Rollback(banks_pb2.RollbackRequest(generation=generation), timeout=20).generation


def generations(stubs) -> list[banks_pb2.Generation]:
    return list(stubs.banks.ListGenerations(banks_pb2.ListGenerationsRequest(), timeout=20).generations)


def banks(stubs) -> dict[str, banks_pb2.Bank]:
    listed = stubs.banks.ListBanks(banks_pb2.ListBanksRequest(), timeout=20).banks
    assert [bank.name for bank in listed] == sorted(bank.name for bank in listed)
    return {bank.name: bank for bank in listed}


@pytest.fixture
def bank(stubs) -> str:
    """A bank of this test's own."""
    return create(stubs, f"bank-{next(_numbers)}").name


@pytest.fixture
def own_stubs(tmp_path, data) -> Iterator:
    """Connect to a server of this test's own."""
    with serving(tmp_path / "server", data) as running, connected(running.address) as stubs:
        yield stubs


def test_a_new_bank_is_enabled_empty_and_has_default_radii(stubs):
    made = create(stubs, "new", labels=["a", "b"])
    assert (made.name, made.enabled, made.entry_count, list(made.labels)) == ("new", True, 0, ["a", "b"])
    assert radii_of(made) == DEFAULT_RADII
    assert banks(stubs)["new"] == made


def test_radii_given_replace_the_defaults_of_their_types(stubs):
    made = create(stubs, "radii", radii=radii(phash64=0, pdq256=256))
    assert radii_of(made) == {**DEFAULT_RADII, 1: 0, 5: 256}


def test_updating_changes_only_what_is_named(stubs):
    create(stubs, "updated", radii=radii(phash64=3, md5=2), labels=["kept"])
    assert radii_of(update(stubs, "updated", radii=radii(md5=1))) == {**DEFAULT_RADII, 1: 3, 6: 1}
    assert not update(stubs, "updated", enabled=False).enabled
    still = update(stubs, "updated", radii=radii(phash64=4))
    assert (still.enabled, list(still.labels), radii_of(still)[1]) == (False, ["kept"], 4)
    assert banks(stubs)["updated"] == still


def test_an_update_that_changes_nothing_adds_nothing_to_the_log(stubs, bank):
    before = stubs.status().sequence
    update(stubs, bank)
    update(stubs, bank, enabled=True, radii=radii(phash64=8))
    assert stubs.status().sequence == before


def test_a_name_that_is_taken_is_refused(stubs, bank):
    error = refusal(create, stubs, bank)
    assert error.code() == grpc.StatusCode.ALREADY_EXISTS
    assert bank in error.details()


BAD_NAMES = ["", " ", "-first", "a b", "a/b", "../x", "x" * 65, "münchen", "new\nline", "a\x00"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_malformed_bank_name_is_refused_everywhere(stubs, name):
    for call, field in ((create, "name"), (update, "name"), (apply_one, "bank")):
        error = refusal(call, stubs, name)
        assert (error.code(), violated_fields(error)) == (INVALID, [field])


def apply_one(stubs, bank: str) -> None:
    apply(stubs, bank, remove("x"))


@pytest.mark.parametrize("call", [update, apply_one])
def test_an_unknown_bank_is_not_found(stubs, call):
    assert refusal(call, stubs, "nobody").code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("call", [create, update])
@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (radii(phash64=65), "radii[0].radius"),
        (radii(pdq256=31, sha1=161), "radii[1].radius"),
        (radii(phash64=8) + radii(phash64=8), "radii[1].hash_type"),
        ([banks_pb2.Radius(radius=3)], "radii[0].hash_type"),
        ([banks_pb2.Radius(hash_type=77, radius=3)], "radii[0].hash_type"),
    ],
)
def test_wrong_radii_are_refused_and_nothing_is_made(stubs, bank, call, wrong, field):
    name = "never-made" if call is create else bank
    before = banks(stubs)
    error = refusal(call, stubs, name, radii=wrong)
    assert (error.code(), violated_fields(error)) == (INVALID, [field])
    assert banks(stubs) == before


@pytest.mark.parametrize("labels", [[""], ["x" * 65], ["a;b"], ["a\tb"], [f"l{i}" for i in range(33)]])
def test_wrong_labels_are_refused(stubs, labels):
    error = refusal(create, stubs, "labelled", labels=labels)
    assert (error.code(), violated_fields(error)) == (INVALID, ["labels"])


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


def test_status_tells_registry_generation_and_worker(stubs, server, sample):
    status = stubs.status()
    assert {NARROW, WIDE, DISABLED, EMPTY} <= {bank.name for bank in status.banks}
    assert list(status.banks) == list(banks(stubs).values())
    current = status.current
    assert (current.number, current.current) == (1, True)
    assert current.entry_count == sum(len(of_bank) for of_bank in sample.entries.values())
    counts = {segment.hash_type: segment.hash_count for segment in current.segments}
    assert counts == {t.number: len(sample.hashes(t)) for t in HASH_TYPES.values()}
    assert current.size_bytes > 2000 * 8
    assert 0 <= time() - current.create_time.seconds < 3600
    assert (status.worker.generation, status.worker.reload_error) == (1, "")
    assert status.worker.process_id != server.process.pid
    assert 0 <= time() - status.worker.start_time.seconds < 600


def test_publish_serves_the_changes_and_rollback_goes_back(own_stubs):
    value = RNG.bytes(8)
    assert refusal(rollback, own_stubs).code() == grpc.StatusCode.NOT_FOUND
    sequence = apply(own_stubs, EMPTY, upsert("added", hash_message(1, value))).sequence
    update(own_stubs, DISABLED, enabled=True)

    def found() -> list[str]:
        return [match.entry_id for match in own_stubs.lookup(hash_type=1, hashes=value).matches]

    assert found() == []
    assert own_stubs.status().current.sequence < sequence
    made = own_stubs.publish()
    assert (made.number, made.sequence, made.current) == (2, sequence + 1, True)
    eventually(lambda: own_stubs.lookup(hash_type=1, hashes=value).generation == 2)
    assert found() == ["added"]
    assert own_stubs.publish() == made, "nothing changed, so nothing is built"
    assert [(g.number, g.current) for g in generations(own_stubs)] == [(2, True), (1, False)]

    assert rollback(own_stubs).number == 1
    eventually(lambda: own_stubs.status().worker.generation == 1)
    assert found() == []
    assert [(g.number, g.current) for g in generations(own_stubs)] == [(2, False), (1, True)]
    assert refusal(rollback, own_stubs).code() == grpc.StatusCode.NOT_FOUND
    assert rollback(own_stubs, 2).number == 2
    eventually(lambda: own_stubs.status().worker.generation == 2)
    error = refusal(rollback, own_stubs, 3)
    assert (error.code(), "there are: 2, 1" in error.details()) == (grpc.StatusCode.NOT_FOUND, True)
    assert refusal(rollback, own_stubs, 2**64 - 1).code() == grpc.StatusCode.NOT_FOUND

    rollback(own_stubs, 1)
    assert own_stubs.publish().number == 3, "what was rolled back comes again with the next publish"
    eventually(lambda: found() == ["added"])


def test_rollback_and_status_before_the_first_publish(tmp_path):
    with serving(tmp_path / "server", tmp_path / "data") as running, connected(running.address) as stubs:
        assert refusal(rollback, stubs).code() == grpc.StatusCode.UNAVAILABLE
        assert refusal(rollback, stubs, 1).code() == grpc.StatusCode.NOT_FOUND
        status = stubs.status()
        assert (status.sequence, status.HasField("current"), status.worker.generation) == (0, False, 0)
        assert generations(stubs) == []
        assert stubs.publish().entry_count == 0


def test_of_two_publishes_at_once_one_is_aborted_or_both_give_the_same(own_stubs):
    apply(own_stubs, EMPTY, upsert("added"))

    def publish(_: int) -> int | grpc.StatusCode:
        try:
            return own_stubs.publish().number
        except grpc.RpcError as error:
            return error.code()

    with ThreadPoolExecutor(3) as pool:
        outcomes = set(pool.map(publish, range(3)))
    assert outcomes - {grpc.StatusCode.ABORTED} == {2}
    assert [g.number for g in generations(own_stubs)] == [2, 1]


def test_a_generation_that_cannot_be_read_is_left_out_and_refused(tmp_path, data):
    with serving(tmp_path / "server", data) as running, connected(running.address) as stubs:
        apply(stubs, EMPTY, upsert("added"))
        stubs.publish()
        (data / "generations" / "000001" / "MANIFEST.json").write_text("{}")
        assert [g.number for g in generations(stubs)] == [2]
        assert refusal(rollback, stubs, 1).code() == grpc.StatusCode.DATA_LOSS
        assert stubs.status().current.number == 2
