import threading
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import pytest

from nearhash_index.entries import Entry, EntryKey, Hash
from nearhash_index.errors import CorruptData, NotPublished, StorageFailed
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import Current, DataDirectory, Generation, Registry, publish
from nearhash_index.store import generation as generation_module
from nearhash_index.store.changes import Upsert, Withdraw
from nearhash_service.answering import pace
from nearhash_service.answering.served_view import ServedView
from nearhash_service.server import Server

from .calls import apply, create, rollback, upsert
from .running import connected, eventually
from .sample import AUTHOR, EMPTY, NARROW
from .violations import refusal

ADDED = bytes(range(1, 9))
LOOKUP_SERVICE, BANK_SERVICE = "nearhash.v1.LookupService", "nearhash.v1.BankService"


def publish_another(data) -> int:
    with Registry(DataDirectory(data)) as registry:
        entry = Entry(EntryKey("added", "local"), (Hash(HASH_TYPES["phash64"], ADDED),))
        registry.apply(EMPTY, [Upsert(entry)], AUTHOR)
    return publish(data).number


def flip_a_byte(data, number: int) -> None:
    path = DataDirectory(data).generation_path(number) / "data.mdb"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def number_of(served: ServedView) -> int:
    return served.get().generation.manifest.number


@pytest.fixture
def two(data) -> DataDirectory:
    """A data directory that serves generation 1 and has a generation 2."""
    assert publish_another(data) == 2
    directory = DataDirectory(data)
    directory.set_current(Current(1))
    return directory


@pytest.fixture
def damaged(two) -> DataDirectory:
    """The same, with a generation 2 that is damaged."""
    flip_a_byte(two.path, 2)
    return two


@contextmanager
def served_from(directory: DataDirectory) -> Iterator[tuple[ServedView, Registry]]:
    with Registry(directory) as registry:
        yield ServedView(directory, registry), registry


def test_a_generation_is_not_refused_for_what_fails_in_following_changes(two, monkeypatch):
    monkeypatch.setattr(pace, "_FOLLOW_EVERY_S", 0.0)
    failures = []
    with served_from(two) as (served, _):
        assert served.refresh()
        two.set_current(Current(2))

        def fail() -> None:
            failures.append(StorageFailed("the disk failed"))
            raise failures[-1]

        monkeypatch.setattr(served, "_follow_changes", fail)
        with pytest.raises(StorageFailed):
            served.refresh()
        monkeypatch.undo()
        assert len(failures) > 1
        assert served.refresh()
        assert (number_of(served), served.error()) == (2, "")


def test_a_new_generation_is_exchanged_while_the_old_one_still_answers(two):
    with served_from(two) as (served, _):
        assert served.refresh()
        old = served.get()
        two.set_current(Current(2))
        assert served.refresh()
        assert (number_of(served), served.error()) == (2, "")
    assert (old.generation.manifest.number, served.get().generation.manifest.number) == (1, 2)
    count = old.first_added
    assert count == served.get().first_added - 1
    assert "added" not in {old.entry(number).entry_id for number in range(count)}


def test_the_generation_served_before_stays_open_and_is_verified_again_if_its_file_changed(two, monkeypatch):
    assert publish_another(two.path) == 3
    opened, let_go = {}, []
    monkeypatch.setattr(Generation, "forget_pages", lambda self, _pace: let_go.append(self.manifest.number))
    with served_from(two) as (served, _):
        for number in (1, 2, 1, 2, 3):
            two.set_current(Current(number))
            assert served.refresh()
            assert number_of(served) == number
            generation = served.get().generation
            assert opened.setdefault(number, generation) is generation
        assert let_go == [1]
        flip_a_byte(two.path, 2)
        two.set_current(Current(2))
        assert served.refresh()
        assert (number_of(served), "is damaged" in served.error()) == (3, True)
        two.set_current(Current(1))
        assert served.refresh()
        assert number_of(served) == 1
        assert served.get().generation is not opened[1]


def test_changes_are_followed_while_another_generation_is_being_opened(two, monkeypatch):
    monkeypatch.setattr(generation_module, "_READ_BYTES", 4096)
    monkeypatch.setattr(pace, "_FOLLOW_EVERY_S", 0.0)
    seen = []
    with served_from(two) as (served, registry):
        assert served.refresh()
        two.set_current(Current(2))
        sequence = registry.apply(EMPTY, [Withdraw(EntryKey("added", "local"))], AUTHOR).sequence

        def pause(duration_s: float) -> None:
            assert duration_s < 0.01
            seen.append((number_of(served), served.get().sequence))

        monkeypatch.setattr(pace.time, "sleep", pause)
        assert served.refresh()
        monkeypatch.undo()
        assert (number_of(served), served.get().sequence) == (2, sequence)
    assert seen[0][0] == 1
    assert seen[0][1] < sequence
    assert set(seen[1:]) == {(1, sequence)}


def test_a_change_makes_a_new_view_and_leaves_the_old_one_as_it_was(two, sample):
    key = sample.entries[NARROW][0].key
    with served_from(two) as (served, registry):
        assert served.refresh()
        before = served.get()
        assert served.refresh()
        assert served.get() is before, "nothing changed"
        sequence = registry.apply(NARROW, [Withdraw(key)], AUTHOR).sequence
        assert served.refresh()
        after = served.get()
    assert (after.sequence, len(after.delta.tombstones), len(before.delta.tombstones)) == (sequence, 1, 0)
    assert after.generation is before.generation


def test_pinning_what_is_served_already_undoes_the_delta_and_unpinning_brings_it_back(two):
    with served_from(two) as (served, _):
        served.refresh()
        sequences = [served.get().sequence]
        for current in (Current(1, pinned=True), Current(1)):
            two.set_current(current)
            assert served.refresh()
            sequences.append(served.get().sequence)
            assert len(served.get().delta.entries) == (not current.pinned)
    assert sequences == [sequences[0], sequences[0] - 1, sequences[0]]


def test_without_anything_published_there_is_nothing_to_serve(tmp_path):
    with served_from(DataDirectory.create(tmp_path / "data")) as (served, _):
        assert not served.refresh()
        assert served.error() == ""
        with pytest.raises(NotPublished):
            served.get()


def test_a_refused_generation_is_told_every_time_that_it_is_current_and_changes_are_followed(damaged):
    with served_from(damaged) as (served, registry):
        assert served.refresh()
        for _ in range(2):
            damaged.set_current(Current(2))
            change = registry.update_bank(EMPTY, {"phash64": 3}, author=AUTHOR)
            assert served.refresh()
            assert (number_of(served), "is damaged" in served.error()) == (1, True)
            assert change in served.get().banks
            damaged.set_current(Current(1))
            registry.update_bank(EMPTY, {"phash64": 4}, author=AUTHOR)
            assert served.refresh()
            assert (number_of(served), served.error()) == (1, "")
            assert change not in served.get().banks


@pytest.mark.parametrize("missing", ["data.mdb", "MANIFEST.json", ""])
def test_a_generation_with_something_missing_is_refused(damaged, missing):
    path = damaged.generation_path(2) / missing
    path.rename(damaged.path / "elsewhere")
    damaged.path.joinpath("CURRENT").write_text("000002\n")
    with served_from(damaged) as (served, _):
        assert not served.refresh()
        assert "is missing" in served.error()


def test_an_unreadable_current_is_told_and_tried_again(data):
    directory = DataDirectory(data)
    current = data / "CURRENT"
    with served_from(directory) as (served, _):
        current.write_text("garbage")
        assert not served.refresh()
        with pytest.raises(CorruptData, match="CURRENT does not hold"):
            served.get()
        current.unlink()
        current.mkdir()
        assert not served.refresh()
        with pytest.raises(StorageFailed, match="cannot be read"):
            served.get()
        current.rmdir()
        directory.set_current(Current(1))
        assert served.refresh()
        assert (number_of(served), served.error()) == (1, "")


def test_following_goes_on_after_an_unforeseen_error_and_ends_with_the_server(two, tmp_path, caplog, monkeypatch):
    address = f"unix:{tmp_path}/socket"
    with Server(two, address, reload_interval_s=0.01), connected(address) as stubs:
        with monkeypatch.context() as patched:
            patched.setattr(two, "current", lambda: 1 // 0)
            eventually(lambda: "ZeroDivisionError" in caplog.text)
        two.set_current(Current(2))
        eventually(lambda: stubs.status().worker.generation == 2)
    assert "reload" not in {thread.name for thread in threading.enumerate()}


def test_a_server_refuses_a_damaged_generation_and_keeps_the_old_one(serve, damaged, sample):
    value = sample.hashes(HASH_TYPES["phash64"])[0]
    running = serve(damaged.path)
    with connected(running.address) as stubs:
        before = list(stubs.lookup(hash_type=1, hashes=value).matches)
        damaged.set_current(Current(2))
        worker = eventually(lambda: (worker := stubs.status().worker).reload_error and worker)
        assert worker.generation == 1
        assert "000002/data.mdb is damaged: its checksum does not fit" in worker.reload_error
        assert stubs.health("") == stubs.health(LOOKUP_SERVICE) == "SERVING"
        answer = stubs.lookup(hash_type=1, hashes=value)
        assert (answer.generation, list(answer.matches)) == (1, before)
        assert running.log().count("a newer generation is not served") == 1, "said once, not ten times a second"
        assert refusal(rollback, stubs, 2).code() == grpc.StatusCode.DATA_LOSS

        apply(stubs, EMPTY, upsert("another"))
        assert stubs.publish().number == 3
        eventually(lambda: stubs.status().worker.generation == 3)
        assert stubs.status().worker.reload_error == ""
        assert [match.entry_id for match in stubs.lookup(hash_type=1, hashes=ADDED).matches] == ["added"]


def test_a_server_without_a_generation_serves_as_soon_as_one_is_published(serve, tmp_path):
    with connected(serve(tmp_path / "data").address) as stubs:
        assert stubs.health("") == stubs.health(LOOKUP_SERVICE) == "NOT_SERVING"
        assert stubs.health(BANK_SERVICE) == "SERVING"
        error = refusal(stubs.lookup, hash_type=1, hashes=ADDED)
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert "nothing is published yet" in error.details()
        create(stubs, "first")
        apply(stubs, "first", upsert("one"))
        assert stubs.publish().number == 1
        eventually(lambda: stubs.health("") == "SERVING")
        assert stubs.health(LOOKUP_SERVICE) == "SERVING"
        assert stubs.lookup(hash_type=1, hashes=ADDED).generation == 1


def test_a_server_whose_only_generation_is_damaged_says_so_and_recovers(serve, data):
    flip_a_byte(data, 1)
    with connected(serve(data).address) as stubs:
        assert stubs.health("") == stubs.health(LOOKUP_SERVICE) == "NOT_SERVING"
        error = refusal(stubs.lookup, hash_type=1, hashes=ADDED)
        assert error.code() == grpc.StatusCode.DATA_LOSS
        assert "000001/data.mdb is damaged" in error.details()
        assert "is damaged" in stubs.status().worker.reload_error
        apply(stubs, EMPTY, upsert("another"))
        assert stubs.publish().number == 2
        eventually(lambda: stubs.health("") == "SERVING")
        assert stubs.lookup(hash_type=1, hashes=ADDED).generation == 2
        assert stubs.status().worker.reload_error == ""
