"""Publishing, rolling back, and what that means for entries that changed meanwhile."""

from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import grpc
import pytest

from nearhash.v1 import banks_pb2
from nearhash_index.store import KEPT_GENERATIONS, DataDirectory
from nearhash_index.store.build_progress import BuildReporter
from nearhash_service.cli.status import build_text
from nearhash_service.config import PublishSection

from .calls import (
    RNG,
    apply,
    audit,
    change,
    create,
    generations,
    hash_message,
    radii,
    release,
    remove,
    rollback,
    update,
    upsert,
)
from .running import connected, eventually, serving
from .sample import DISABLED, EMPTY, NARROW
from .violations import refusal, violated_fields

VALUE, OTHER = RNG.bytes(8), RNG.bytes(8)
ADDED = upsert("added", hash_message(1, VALUE))


def found(stubs, value: bytes = VALUE) -> list[str]:
    return [match.entry_id for match in stubs.lookup(hash_type=1, hashes=value).matches]


def served(stubs, number: int) -> None:
    """Wait for the worker to serve a generation; if it served that before, too, this tells nothing."""
    eventually(lambda: stubs.status().worker.generation == number)


def test_changes_are_served_without_a_publish_and_published_by_one(own_stubs):
    sequence = apply(own_stubs, EMPTY, ADDED).sequence
    eventually(lambda: found(own_stubs) == ["added"], 1)
    status = own_stubs.status()
    assert status.current.sequence < sequence
    assert (status.worker.generation, status.worker.sequence, status.worker.delta_entry_count) == (1, sequence, 1)
    made = own_stubs.publish()
    assert (made.number, made.sequence, made.current, made.pinned) == (2, sequence, True, False)
    served(own_stubs, 2)
    assert found(own_stubs) == ["added"]
    assert own_stubs.status().worker.delta_entry_count == 0
    assert own_stubs.publish() == made, "nothing changed, so nothing is built"
    assert [(g.number, g.current) for g in generations(own_stubs)] == [(2, True), (1, False)]


def test_a_build_under_way_is_told_by_the_status(own_stubs, data):
    assert not own_stubs.status().HasField("build")
    directory = DataDirectory(data)
    with directory.publish_lock(), directory.staging(2):
        BuildReporter(directory, 2, 4).begin("reading entries")
        now = own_stubs.status()
        assert (now.build.generation, now.build.step, now.build.step_number, now.build.step_count) == (
            2, "reading entries", 1, 4
        )  # fmt: skip
        assert build_text(now).startswith("building generation 2: reading entries (step 1 of 4), ")
    assert build_text(own_stubs.status()) == ""


def test_so_many_generations_are_kept_as_are_asked_for(own_stubs):
    for number in range(2, 6):
        apply(own_stubs, EMPTY, upsert(f"added-{number}", hash_message(1, RNG.bytes(8))))
        own_stubs.publish()
    assert [generation.number for generation in generations(own_stubs)] == [5, 4, 3, 2, 1]
    apply(own_stubs, EMPTY, ADDED)
    own_stubs.banks.Publish(banks_pb2.PublishRequest(kept_generations=2))
    assert [generation.number for generation in generations(own_stubs)] == [6, 5, 4]
    assert PublishSection().kept_generations == KEPT_GENERATIONS


def test_a_rollback_serves_what_was_until_it_is_released(own_stubs):
    assert refusal(rollback, own_stubs).code() == grpc.StatusCode.NOT_FOUND
    apply(own_stubs, EMPTY, ADDED)
    update(own_stubs, DISABLED, enabled=True)
    own_stubs.publish()
    served(own_stubs, 2)
    back = rollback(own_stubs)
    assert (back.number, back.current, back.pinned) == (1, True, True)
    served(own_stubs, 1)
    assert found(own_stubs) == []
    assert [(g.number, g.current, g.pinned) for g in generations(own_stubs)] == [(2, False, False), (1, True, True)]
    status = own_stubs.status()
    assert (status.current.number, status.current.pinned, status.worker.sequence) == (1, True, back.sequence)
    assert refusal(rollback, own_stubs).code() == grpc.StatusCode.NOT_FOUND

    # Changes wait, and a publish is refused.
    sequence = apply(own_stubs, EMPTY, upsert("later", hash_message(1, OTHER))).sequence
    error = refusal(own_stubs.publish)
    assert (error.code(), "pinned" in error.details()) == (grpc.StatusCode.FAILED_PRECONDITION, True)
    error = refusal(own_stubs.lookup, hash_type=1, hashes=OTHER, min_sequence=sequence)
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert found(own_stubs, OTHER) == []

    freed = release(own_stubs)
    assert (freed.number, freed.current, freed.pinned) == (2, True, False)
    eventually(lambda: (found(own_stubs), found(own_stubs, OTHER)) == (["added"], ["later"]))
    assert own_stubs.status().worker.sequence == sequence
    assert own_stubs.publish().number == 3


def test_a_rollback_to_a_generation_by_number_pins_the_newest_too(own_stubs):
    apply(own_stubs, EMPTY, ADDED)
    own_stubs.publish()
    assert rollback(own_stubs, 1).number == 1
    assert (rollback(own_stubs, 2).number, generations(own_stubs)[0].pinned) == (2, True)
    served(own_stubs, 2)
    error = refusal(rollback, own_stubs, 3)
    assert (error.code(), "there are: 2, 1" in error.details()) == (grpc.StatusCode.NOT_FOUND, True)
    assert refusal(rollback, own_stubs, 2**64 - 1).code() == grpc.StatusCode.NOT_FOUND
    assert [release(own_stubs).pinned for _ in range(2)] == [False, False], "releasing again changes nothing"


def test_a_rollback_takes_less_than_two_seconds_until_it_answers(own_stubs):
    apply(own_stubs, EMPTY, ADDED)
    own_stubs.publish()
    for number, expected in ((1, []), (2, ["added"]), (1, [])):
        served_before = own_stubs.status().worker.generation
        start_s = perf_counter()
        rollback(own_stubs, number)
        eventually(lambda expected=expected: found(own_stubs) == expected, 2)
        assert perf_counter() - start_s < 2
        assert own_stubs.status().worker.generation == number != served_before or served_before == number


@pytest.mark.parametrize(
    ("kind", "comes_back"),
    [("withdraw", False), ("disable", False), ("remove", True)],
)
def test_what_comes_back_by_a_roll_back_and_what_never_does(own_stubs, kind, comes_back):
    apply(own_stubs, EMPTY, ADDED)
    own_stubs.publish()
    apply(own_stubs, EMPTY, change(kind, "added"))
    eventually(lambda: found(own_stubs) == [], 1)
    own_stubs.publish()
    served(own_stubs, 3)
    for number in (2, 3, 2):
        rollback(own_stubs, number)
        served(own_stubs, number)
        assert found(own_stubs) == (["added"] if comes_back and number == 2 else [])
    release(own_stubs)
    served(own_stubs, 3)
    assert found(own_stubs) == []


def test_a_withdrawal_holds_while_pinned_and_against_every_list_that_brings_it_again(own_stubs):
    apply(own_stubs, EMPTY, ADDED)
    own_stubs.publish()
    rollback(own_stubs, 2)
    served(own_stubs, 2)
    apply(own_stubs, EMPTY, change("withdraw", "added"))
    eventually(lambda: found(own_stubs) == [], 1)
    again = apply(own_stubs, EMPTY, ADDED)
    assert (again.withheld, again.added, again.updated) == (1, 0, 0)
    release(own_stubs)
    apply(own_stubs, EMPTY, upsert("later"))
    assert own_stubs.publish().number == 3
    served(own_stubs, 3)
    assert found(own_stubs) == []
    # Only a reinstatement makes room for it.
    apply(own_stubs, EMPTY, change("reinstate", "added"))
    assert apply(own_stubs, EMPTY, ADDED).added == 1
    eventually(lambda: found(own_stubs) == ["added"], 1)


def test_a_bank_disabled_since_is_not_searched_after_a_roll_back_and_its_radii_are_those_of_then(own_stubs, sample):
    value = next(e for e in sample.entries[NARROW] if e.key.entry_id.startswith("several")).hashes[0].value
    near = bytes([value[0] ^ 1]) + value[1:]
    update(own_stubs, NARROW, radii=radii(phash64=0))
    eventually(lambda: found(own_stubs, near) == [], 1)
    assert len(found(own_stubs, value)) == 1
    own_stubs.publish()
    served(own_stubs, 2)
    rollback(own_stubs, 1)
    served(own_stubs, 1)
    assert len(found(own_stubs, near)) == 1
    update(own_stubs, NARROW, enabled=False)
    eventually(lambda: found(own_stubs, near) == [], 1)
    create(own_stubs, "new")
    assert refusal(own_stubs.lookup, hash_type=1, hashes=value, banks=["new"]).code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("damaged", [{3}, {3, 2}])
def test_a_release_passes_over_generations_that_are_damaged(own_stubs, data, damaged):
    for entry_id in "ab":
        apply(own_stubs, EMPTY, upsert(entry_id, hash_message(1, VALUE)))
        own_stubs.publish()
    rollback(own_stubs, 1)
    for number in damaged:
        file = data / "generations" / f"{number:06}" / "data.mdb"
        # Another file: the server, which is in this process, may have mapped this one, and dies if it shrinks (SIGBUS).
        file.unlink()
        file.write_bytes(b"")
    assert release(own_stubs).number == 3 - len(damaged)
    # The generation may have been served before, too, but pinned.
    served(own_stubs, 3 - len(damaged))
    eventually(lambda: found(own_stubs) == ["a", "b"])
    apply(own_stubs, EMPTY, remove("a"))
    assert own_stubs.publish().number == 4


def test_a_generation_that_never_became_current_is_not_gone_back_to(own_stubs, data):
    apply(own_stubs, EMPTY, ADDED)
    own_stubs.publish()
    apply(own_stubs, EMPTY, upsert("later", hash_message(1, OTHER)))
    # What keeps CURRENT from being written, root or not.
    (data / "CURRENT.tmp").mkdir()
    error = refusal(own_stubs.publish)
    assert (error.code(), "CURRENT could not be written" in error.details()) == (grpc.StatusCode.INTERNAL, True)
    (data / "CURRENT.tmp").rmdir()
    assert DataDirectory(data).generation_numbers() == [3, 2, 1], "it is built, and no more than that"
    assert [g.number for g in generations(own_stubs)] == [2, 1]
    assert rollback(own_stubs).number == 1
    assert refusal(rollback, own_stubs, 3).code() == grpc.StatusCode.NOT_FOUND
    assert release(own_stubs).number == 2
    # The next build takes another number, and tidies up.
    assert own_stubs.publish().number == 4
    assert DataDirectory(data).generation_numbers() == [4, 2, 1]
    assert rollback(own_stubs).number == 2


def test_who_changed_what_is_served_and_why_is_in_the_audit_log(own_stubs):
    author = {"actor": "alice@desk", "reason": "a wrong list"}
    apply(own_stubs, EMPTY, ADDED)
    before = len(audit(own_stubs))
    own_stubs.banks.Publish(banks_pb2.PublishRequest(dry_run=True, author=author), timeout=60)
    error = refusal(own_stubs.banks.Rollback, banks_pb2.RollbackRequest(author={"reason": "x" * 501}))
    assert violated_fields(error) == ["author.reason"]
    assert len(audit(own_stubs)) == before
    own_stubs.banks.Publish(banks_pb2.PublishRequest(author=author), timeout=60)
    own_stubs.banks.Rollback(banks_pb2.RollbackRequest(author=author), timeout=20)
    assert refusal(own_stubs.banks.Rollback, banks_pb2.RollbackRequest(generation=9, author=author))
    own_stubs.banks.Release(banks_pb2.ReleaseRequest(author=author), timeout=20)
    told = [(r.action, r.bank, r.author.actor, r.author.reason) for r in audit(own_stubs)[:-before]]
    assert told == [
        (action, "", "alice@desk", "a wrong list")
        for action in ("release to generation 2", "roll back to generation 1", "publish generation 2")
    ]


def test_rollback_and_status_before_the_first_publish(tmp_path):
    with serving(tmp_path / "server", tmp_path / "data") as running, connected(running.address) as stubs:
        assert refusal(rollback, stubs).code() == grpc.StatusCode.UNAVAILABLE
        assert refusal(rollback, stubs, 1).code() == grpc.StatusCode.NOT_FOUND
        assert refusal(release, stubs).code() == grpc.StatusCode.UNAVAILABLE
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


def test_a_generation_that_cannot_be_read_is_left_out_and_refused(own_stubs, data):
    apply(own_stubs, EMPTY, upsert("added"))
    own_stubs.publish()
    (data / "generations" / "000001" / "MANIFEST.json").write_text("{}")
    assert [g.number for g in generations(own_stubs)] == [2]
    assert refusal(rollback, own_stubs, 1).code() == grpc.StatusCode.DATA_LOSS
    assert own_stubs.status().current.number == 2
