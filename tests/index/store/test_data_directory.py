from __future__ import annotations

import re
from pathlib import Path

import pytest

from nearhash_index.errors import (
    CorruptData,
    NearHashIndexError,
    NotADataDirectory,
    NotPublished,
    StoreBusy,
    UnknownName,
    WrongVersion,
)
from nearhash_index.store import Current, DataDirectory
from nearhash_index.store.sealed_json import seal

from . import children

MAGIC = "nearhash data directory"


def test_creating_makes_an_empty_directory_private_to_its_owner(tmp_path: Path) -> None:
    directory = DataDirectory.create(tmp_path / "new" / "data")
    assert [entry.name for entry in directory.path.iterdir()] == ["FORMAT"]
    assert directory.path.stat().st_mode & 0o777 == 0o700
    assert directory.generation_numbers() == []
    assert directory.registry_path == tmp_path / "new" / "data" / "registry"


def test_creating_again_opens_what_is_there(path: Path) -> None:
    before = (path / "FORMAT").read_bytes()
    assert DataDirectory.create(path).path == path
    assert (path / "FORMAT").read_bytes() == before


def test_an_empty_directory_becomes_a_data_directory(tmp_path: Path) -> None:
    DataDirectory.create(tmp_path)
    assert DataDirectory(tmp_path).path == tmp_path


def test_a_creation_that_was_killed_is_taken_up(tmp_path: Path) -> None:
    (tmp_path / "FORMAT.tmp").write_bytes(b"{")
    DataDirectory.create(tmp_path)
    assert DataDirectory(tmp_path).path == tmp_path


def test_several_processes_may_create_it_at_once(tmp_path: Path) -> None:
    creators = [children.start("create", tmp_path / "data") for _ in range(4)]
    for creator in creators:
        assert creator.stdout is not None
        assert creator.stdout.readline() == "ready\n"
    for creator in creators:
        assert creator.stdin is not None
        creator.stdin.write("go\n")
        creator.stdin.flush()
    assert [children.finish(creator) for creator in creators] == [["data"]] * 4
    assert DataDirectory(tmp_path / "data").generation_numbers() == []


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"photo")
    for make in (DataDirectory, DataDirectory.create):
        with pytest.raises(NotADataDirectory, match=f"{tmp_path}/FORMAT is missing, so {tmp_path} is not a {MAGIC}"):
            make(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["holiday.jpg"]


def test_a_file_is_no_data_directory(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    for make in (DataDirectory, DataDirectory.create):
        with pytest.raises(NotADataDirectory, match=f"{file}"):
            make(file)
    assert file.read_bytes() == b"content"


def test_a_missing_directory_is_not_made_by_opening_it(tmp_path: Path) -> None:
    with pytest.raises(NotADataDirectory, match=f"there is no data directory at {tmp_path}/missing"):
        DataDirectory(tmp_path / "missing")
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", NotADataDirectory, f"FORMAT is not the description of a {MAGIC}"),
        (b"\x89PNG\r\n", NotADataDirectory, f"FORMAT is not the description of a {MAGIC}"),
        (b"[" * 100_000, NotADataDirectory, f"FORMAT is not the description of a {MAGIC}"),
        (b"[]", NotADataDirectory, f"FORMAT is not the description of a {MAGIC}"),
        (seal("nearhash generation", 1, {}), NotADataDirectory, f"FORMAT is not the description of a {MAGIC}"),
        (seal(MAGIC, 2, {}), WrongVersion, f"FORMAT is of version 2; this release reads version 1 of a {MAGIC}"),
        (seal(MAGIC, 1, {})[:-10], CorruptData, "FORMAT is damaged: it is not valid JSON"),
        (seal(MAGIC, 1, {"a": 1}).replace(b'"a": 1', b'"a": 2'), CorruptData, "FORMAT is damaged: its checksum"),
    ],
)
def test_a_wrong_format_file_is_refused_by_what_is_wrong(
    path: Path, content: bytes, error: type[NearHashIndexError], message: str
) -> None:
    (path / "FORMAT").write_bytes(content)
    for make in (DataDirectory, DataDirectory.create):
        with pytest.raises(error, match=message):
            make(path)
    assert (path / "FORMAT").read_bytes() == content


def test_a_folder_named_format_is_refused(path: Path) -> None:
    (path / "FORMAT").unlink()
    (path / "FORMAT").mkdir()
    with pytest.raises(NotADataDirectory, match="FORMAT is not a file"):
        DataDirectory(path)


def test_every_bit_of_the_format_file_counts(path: Path) -> None:
    content = (path / "FORMAT").read_bytes()
    for bit in range(len(content) * 8):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        (path / "FORMAT").write_bytes(damaged)
        with pytest.raises((NotADataDirectory, WrongVersion, CorruptData)):
            DataDirectory(path)


def generation(directory: DataDirectory, number: int) -> Path:
    folder = directory.generation_path(number)
    folder.mkdir(parents=True)
    return folder


def test_nothing_is_current_at_first(path: Path) -> None:
    with pytest.raises(NotPublished, match="nothing is published yet; publish first"):
        DataDirectory(path).current()


def test_current_is_what_was_set_last(path: Path) -> None:
    directory = DataDirectory(path)
    for chosen in (Current(7), Current(1_000_000, pinned=True), Current(7, pinned=True), Current(7)):
        if chosen.number not in directory.generation_numbers():
            generation(directory, chosen.number)
        directory.set_current(chosen)
        assert DataDirectory(path).current() == chosen
    assert directory.generation_numbers() == [1_000_000, 7]
    assert sorted(entry.name for entry in path.iterdir()) == ["CURRENT", "FORMAT", "generations"]


def test_a_generation_that_is_not_there_cannot_become_current(path: Path) -> None:
    directory = DataDirectory(path)
    with pytest.raises(UnknownName, match="there is no generation 1; there are: none"):
        directory.set_current(Current(1))
    for number in (1, 2, 10):
        generation(directory, number)
    directory.set_current(Current(2))
    with pytest.raises(UnknownName, match="there is no generation 3; there are: 10, 2, 1"):
        directory.set_current(Current(3, pinned=True))
    assert directory.current() == Current(2)


def test_only_what_has_been_current_counts_as_served(path: Path) -> None:
    directory = DataDirectory(path)
    for number in (1, 2, 3, 4):
        generation(directory, number)
    assert directory.served_generation_numbers() == []
    for number in (1, 4, 1, 2):
        directory.set_current(Current(number, pinned=number == 1))
    assert directory.served_generation_numbers() == [4, 2, 1]
    assert directory.served_generation_path(4) == directory.generation_path(4)
    with pytest.raises(UnknownName, match="there is no generation 3; there are: 4, 2, 1"):
        directory.served_generation_path(3)
    directory.generation_path(4).rename(path / "gone")
    assert directory.served_generation_numbers() == [2, 1]
    directory.set_current(Current(1))
    (path / "gone").rename(directory.generation_path(4))
    assert directory.served_generation_numbers() == [2, 1], "another one of that number"


@pytest.mark.parametrize("content", [b"000002\n", b"2 pinned", b"garbage"])
def test_where_nothing_tells_what_has_been_served_all_may_have_been(path: Path, content: bytes) -> None:
    directory = DataDirectory(path)
    for number in (1, 2):
        generation(directory, number)
    (path / "CURRENT").write_bytes(content)
    assert directory.served_generation_numbers() == [2, 1]
    directory.set_current(Current(1, pinned=True))
    assert directory.served_generation_numbers() == [2, 1]


def test_other_names_among_the_generations_are_none(path: Path) -> None:
    directory = DataDirectory(path)
    generation(directory, 3)
    for name in ("4.bak", "lost+found", "5 (copy)"):
        (path / "generations" / name).mkdir()
    assert directory.generation_numbers() == [3]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"latest\n",
        b"\xff\xfe1\x00",
        b"1.5",
        b"-1\n",
        b"1_0",
        b"1\n2\n",
        b"1 pin",
        b"1  pinned",
        b"1\nserved x",
    ],
)
def test_garbage_in_current_is_corrupt(path: Path, content: bytes) -> None:
    (path / "CURRENT").write_bytes(content)
    with pytest.raises(CorruptData, match=re.escape(f"{path / 'CURRENT'} does not hold a generation's number")):
        DataDirectory(path).current()


def test_one_process_publishes_at_a_time_however_it_ends(path: Path) -> None:
    directory = DataDirectory(path)
    with children.start("hold_publish_lock", path) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreBusy, match="another process is publishing"), directory.publish_lock():
            pytest.fail("two hold the lock")
        holder.kill()
        children.finish(holder, killed=True)
    with directory.publish_lock(), pytest.raises(StoreBusy), directory.publish_lock():
        pytest.fail("two hold the lock")
    with directory.publish_lock():
        pass


def test_staging_starts_empty_and_leaves_nothing(path: Path) -> None:
    directory = DataDirectory(path)
    left = path / "staging" / "000003"
    left.mkdir(parents=True)
    (left / "data.mdb").write_bytes(b"half a build")
    with directory.staging(3) as folder:
        assert list((path / "staging").rglob("*")) == [folder]
        (folder / "file").write_bytes(b"content")
    assert not (path / "staging").exists()


def test_an_accepted_folder_is_a_generation(path: Path) -> None:
    directory = DataDirectory(path)
    with directory.staging(4) as folder:
        (folder / "file").write_bytes(b"content")
        directory.accept(folder, 4)
    assert directory.generation_numbers() == [4]
    assert (directory.generation_path(4) / "file").read_bytes() == b"content"
    directory.remove_generation(4)
    assert directory.generation_numbers() == []
    assert not (path / "staging").exists()
