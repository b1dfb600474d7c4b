import threading

import grpc
import pytest

from nearhash_index.entries import Entry, EntryKey, Hash
from nearhash_index.errors import CorruptData, NotPublished, StorageFailed
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import DataDirectory, Registry, publish
from nearhash_service.served_generation import ServedGeneration

from .running import connected, eventually
from .sample import EMPTY
from .test_bank_service import apply, create, rollback, upsert
from .violations import refusal

ADDED = bytes(range(1, 9))
LOOKUP_SERVICE, BANK_SERVICE = "nearhash.v1.LookupService", "nearhash.v1.BankService"


def publish_another(data) -> int:
    with Registry(DataDirectory(data)) as registry:
        registry.apply(EMPTY, [Entry(EntryKey("added", "local"), (Hash(HASH_TYPES["phash64"], ADDED),))])
    return publish(data).number


def flip_a_byte(data, number: int) -> None:
    path = DataDirectory(data).generation_path(number) / "data.mdb"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


@pytest.fixture
def damaged(data) -> DataDirectory:
    """A data directory that serves generation 1 and has a damaged generation 2."""
    assert publish_another(data) == 2
    flip_a_byte(data, 2)
    directory = DataDirectory(data)
    directory.set_current(1)
    return directory


def test_a_new_generation_is_exchanged_while_the_old_one_still_answers(data):
    served = ServedGeneration(DataDirectory(data))
    assert served.refresh()
    old = served.get()
    assert publish_another(data) == 2
    assert served.refresh()
    assert (served.number(), served.error()) == (2, "")
    rows = old.manifest.entry_count
    assert [old.entries.entry_id(row) for row in (0, rows - 1)]
    assert "added" not in {old.entries.entry_id(row) for row in range(rows)}


def test_without_anything_published_there_is_nothing_to_serve(tmp_path):
    served = ServedGeneration(DataDirectory.create(tmp_path / "data"))
    assert not served.refresh()
    assert (served.number(), served.error()) == (0, "")
    with pytest.raises(NotPublished):
        served.get()


def test_a_refused_generation_is_told_every_time_that_it_is_current(damaged):
    served = ServedGeneration(damaged)
    assert served.refresh()
    for _ in range(2):
        damaged.set_current(2)
        assert served.refresh()
        assert (served.number(), "is damaged" in served.error()) == (1, True)
        damaged.set_current(1)
        assert served.refresh()
        assert (served.number(), served.error()) == (1, "")


@pytest.mark.parametrize("missing", ["data.mdb", "MANIFEST.json", ""])
def test_a_generation_with_something_missing_is_refused(damaged, missing):
    path = damaged.generation_path(2) / missing
    path.rename(damaged.path / "elsewhere")
    damaged.path.joinpath("CURRENT").write_text("000002\n")
    served = ServedGeneration(damaged)
    assert not served.refresh()
    assert "is missing" in served.error()


def test_an_unreadable_current_is_told_and_tried_again(data):
    directory = DataDirectory(data)
    served = ServedGeneration(directory)
    current = data / "CURRENT"
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
    directory.set_current(1)
    assert served.refresh()
    assert (served.number(), served.error()) == (1, "")


def test_following_ends_when_told(data):
    served, stop = ServedGeneration(DataDirectory(data)), threading.Event()
    follower = threading.Thread(target=served.follow, args=(stop, 0.01))
    follower.start()
    eventually(lambda: served.number() == 1)
    publish_another(data)
    eventually(lambda: served.number() == 2)
    stop.set()
    follower.join(10)
    assert not follower.is_alive()


def test_a_server_refuses_a_damaged_generation_and_keeps_the_old_one(serve, damaged, sample):
    value = sample.hashes(HASH_TYPES["phash64"])[0]
    running = serve(damaged.path)
    with connected(running.address) as stubs:
        before = list(stubs.lookup(hash_type=1, hashes=value).matches)
        damaged.set_current(2)
        worker = eventually(lambda: (worker := stubs.status().worker).reload_error and worker)
        assert worker.generation == 1
        assert "000002/data.mdb is damaged: its checksum does not fit" in worker.reload_error
        assert stubs.health("") == stubs.health(LOOKUP_SERVICE) == "SERVING"
        answer = stubs.lookup(hash_type=1, hashes=value)
        assert (answer.generation, list(answer.matches)) == (1, before)
        assert running.log().count("still serving generation 1") == 1, "said once, not five times a second"
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
