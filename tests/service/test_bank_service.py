from time import time

import grpc
import pytest

from nearhash.v1 import banks_pb2
from nearhash_index.hash_types import HASH_TYPES

from .calls import apply, audit, banks, change, create, radii, radii_of, remove, update, upsert
from .sample import DISABLED, EMPTY, NARROW, WIDE
from .violations import refusal, violated_fields

INVALID = grpc.StatusCode.INVALID_ARGUMENT
DEFAULT_RADII = {t.number: t.default_radius for t in HASH_TYPES.values()}


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
    relabelled = update(stubs, "updated", labels={"labels": ["new", "newer"]}, allowlist=True)
    assert (list(relabelled.labels), relabelled.allowlist, radii_of(relabelled)[1]) == (["new", "newer"], True, 4)
    bare = update(stubs, "updated", labels={})
    assert (list(bare.labels), bare.allowlist) == ([], True)
    assert banks(stubs)["updated"] == bare


def test_an_update_that_changes_nothing_adds_nothing_to_the_log(stubs, bank):
    before = stubs.status().sequence
    update(stubs, bank)
    update(stubs, bank, enabled=True, radii=radii(phash64=8), labels={}, allowlist=False)
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
def test_wrong_labels_are_refused(stubs, bank, labels):
    for error in (
        refusal(create, stubs, "labelled", labels=labels),
        refusal(update, stubs, bank, labels={"labels": labels}),
    ):
        assert (error.code(), violated_fields(error)) == (INVALID, ["labels"])
    assert not banks(stubs)[bank].labels


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


def test_a_bank_can_be_an_allowlist(stubs):
    made = create(stubs, "allowing", allowlist=True)
    assert made.allowlist
    assert update(stubs, "allowing", radii=radii(phash64=1)).allowlist
    assert banks(stubs)["allowing"].allowlist
    assert not banks(stubs)[NARROW].allowlist


def test_the_audit_log_tells_who_did_what_and_why_the_newest_first(stubs):
    made = create(stubs, "audited", author={"actor": "ann", "reason": "new list"})
    first = stubs.status().sequence
    update(stubs, made.name, enabled=False, author={"actor": "ben"})
    added = upsert("a")
    done = apply(stubs, made.name, added, added, remove("b"), author={"actor": "ann", "reason": "\u2603"})
    withdrawn = apply(stubs, made.name, change("withdraw", "a"))
    update(stubs, made.name, enabled=False)
    apply(stubs, made.name, remove("b"))
    records = audit(stubs, 4)
    assert [(r.author.actor, r.author.reason, r.action) for r in records[1:]] == [
        ("ann", "\u2603", "remove + upsert"),
        ("ben", "", "update bank"),
        ("ann", "new list", "create bank"),
    ]
    # Who does not say who they are is known by their address.
    assert records[0].author.actor.startswith("ipv4:127.0.0.1:")
    assert {record.bank for record in records} == {made.name}
    assert [(r.first_sequence, r.last_sequence) for r in records[::-1]] == [(s, s) for s in range(first, first + 4)]
    assert (done.sequence, withdrawn.sequence) == (first + 2, first + 3)
    assert {name: count for name, count in records[1].counts.items() if count} == {"added": 1, "unchanged": 2}
    assert [key.entry_id for key in records[1].entries] == ["a", "a", "b"]
    assert 0 <= time() - records[0].time.seconds < 60


def test_the_audit_log_has_a_default_and_a_largest_limit(stubs):
    before = len(audit(stubs, 10_000))
    for i in range(101):
        update(stubs, EMPTY, radii=radii(phash64=i % 2))
    assert (len(audit(stubs)), len(audit(stubs, 1)), len(audit(stubs, 10_000))) == (100, 1, before + 101)
    error = refusal(audit, stubs, 10_001)
    assert (error.code(), violated_fields(error)) == (INVALID, ["limit"])


@pytest.mark.parametrize(
    ("field", "text"), [("actor", "x" * 501), ("reason", "x" * 501), ("actor", "a\nb"), ("reason", "\x1b[1m")]
)
@pytest.mark.parametrize("call", [create, update, apply], ids=lambda call: call.__name__)
def test_an_author_that_cannot_be_printed_is_refused_and_nothing_is_done(stubs, bank, call, field, text):
    before = stubs.status().sequence
    arguments = {create: ["unmade"], update: [bank], apply: [bank, upsert("a")]}[call]
    error = refusal(call, stubs, *arguments, author={field: text})
    assert (error.code(), violated_fields(error)) == (INVALID, [f"author.{field}"])
    assert stubs.status().sequence == before
