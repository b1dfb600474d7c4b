"""What is known of one entry."""

from time import time

import grpc
import pytest

from nearhash.v1 import banks_pb2

from .calls import RNG, apply, change, hash_message, remove, rollback, update, upsert
from .running import eventually
from .sample import EMPTY, NARROW
from .test_apply_changes import disable
from .violations import refusal, violated_fields

ACTIVE, DISABLED, WITHDRAWN = (
    banks_pb2.ENTRY_STATE_ACTIVE,
    banks_pb2.ENTRY_STATE_DISABLED,
    banks_pb2.ENTRY_STATE_WITHDRAWN,
)


def get(stubs, entry_id: str, bank: str = EMPTY) -> banks_pb2.GetEntryResponse:
    return stubs.banks.GetEntry(banks_pb2.GetEntryRequest(bank=bank, entry_id=entry_id), timeout=20)


def known(stubs, sequence: int) -> banks_pb2.StoredEntry:
    """Return what is known of the entry "e", once the worker has followed."""
    eventually(lambda: stubs.status().worker.sequence == sequence)
    response = get(stubs, "e")
    assert response.sequence == sequence
    (entry,) = response.entries
    assert (entry.key.entry_id, entry.key.source) == ("e", "local")
    return entry


def test_an_entry_is_told_in_every_state(stubs):
    before_s = int(time())
    full = banks_pb2.Entry(
        key={"entry_id": "e", "source": "local"},
        hashes=[hash_message(), hash_message(5, RNG.bytes(32)), hash_message()],
        labels=["x", "y"],
        quality=0,
        quarantined=[hash_message(2, RNG.bytes(8))],
    )
    until_s = int(time()) + 3600
    states = [
        (banks_pb2.Change(upsert=full), ACTIVE, 0, True),
        (disable("e", until_s), DISABLED, until_s, False),
        (change("disable", "e"), DISABLED, 0, False),
        (change("enable", "e"), ACTIVE, 0, True),
    ]
    for step, state, told_until_s, matched in states:
        entry = known(stubs, apply(stubs, EMPTY, step).sequence)
        assert (entry.state, entry.disabled_until.seconds, entry.matched) == (state, told_until_s, matched)
        assert entry.HasField("disabled_until") == bool(told_until_s)
        assert (list(entry.hash_types), list(entry.quarantined_hash_types)) == ([1, 5, 1], [2])
        assert (list(entry.labels), entry.quality, entry.HasField("quality")) == (["x", "y"], 0, True)
        assert before_s <= entry.create_time.seconds <= entry.update_time.seconds <= time()
        assert not any(item.value in entry.SerializeToString() for item in [*full.hashes, *full.quarantined])
    entry = known(stubs, apply(stubs, EMPTY, change("withdraw", "e")).sequence)
    assert (entry.state, entry.matched, list(entry.hash_types), list(entry.labels)) == (WITHDRAWN, False, [], [])
    assert not entry.HasField("quality")
    apply(stubs, EMPTY, change("reinstate", "e"))
    assert refusal(get, stubs, "e").code() == grpc.StatusCode.NOT_FOUND


def test_an_id_is_told_from_each_source_and_from_no_longer_id(stubs):
    sequence = apply(
        stubs, EMPTY, upsert("case", source="z"), upsert("case", source="A"), upsert("case-1"), upsert("cas")
    ).sequence
    eventually(lambda: stubs.status().worker.sequence == sequence)
    told = get(stubs, "case").entries
    assert [(entry.key.source, entry.key.entry_id, entry.matched) for entry in told] == [
        ("A", "case", True),
        ("z", "case", True),
    ]


def test_matched_means_what_lookups_do(own_stubs, sample):
    published = sample.entries[NARROW][0].key

    def matched(entry_id: str, bank: str = EMPTY) -> set[bool]:
        return {entry.matched for entry in get(own_stubs, entry_id, bank).entries}

    assert matched(published.entry_id, NARROW) == {True}
    aside = banks_pb2.Entry(key={"entry_id": "aside", "source": "local"}, quarantined=[hash_message()])
    apply(own_stubs, EMPTY, upsert("added"), banks_pb2.Change(upsert=aside))
    eventually(lambda: matched("added") == {True})
    assert matched("aside") == {False}, "all that it has is quarantined"
    own_stubs.publish()
    eventually(lambda: get(own_stubs, "added").generation == 2)
    assert (matched("added"), matched("aside")) == ({True}, {False})
    # As generation 1 was, it has no such entry; of what it has, a later removal does not count.
    apply(own_stubs, NARROW, remove(published.entry_id, published.source), upsert("same-id"))
    rollback(own_stubs, 1)
    eventually(lambda: get(own_stubs, "added").generation == 1)
    assert (get(own_stubs, "added").sequence, matched("added")) == (own_stubs.status().worker.sequence, {False})
    update(own_stubs, NARROW, enabled=False)
    own_stubs.banks.Release(banks_pb2.ReleaseRequest(), timeout=20)
    eventually(lambda: matched("added") == {True})
    assert matched("same-id", NARROW) == {False}, "its bank is disabled"


@pytest.mark.parametrize("entry_id", ["", "a\0b", "a\n", "x" * 256, "x" * 600])
def test_a_malformed_id_is_refused(stubs, entry_id):
    error = refusal(get, stubs, entry_id)
    assert (error.code(), violated_fields(error)) == (grpc.StatusCode.INVALID_ARGUMENT, ["entry_id"])


@pytest.mark.parametrize(("entry_id", "bank"), [("nowhere", EMPTY), ("x" * 255, EMPTY), ("e", "nobody"), ("e", "")])
def test_what_is_not_there_is_not_found(stubs, entry_id, bank):
    assert refusal(get, stubs, entry_id, bank).code() == grpc.StatusCode.NOT_FOUND
