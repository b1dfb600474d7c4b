from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest
import zstandard

from nearhash_index.errors import InvalidInput
from nearhash_index.formats.files import first_bytes, pages_of, read_blocks
from tests.index.formats.lists import COMPRESSIONS

CONTENT = os.urandom(700_000) + bytes(2_000_000) + b"end"


@pytest.mark.parametrize("suffix", COMPRESSIONS)
@pytest.mark.parametrize("content", [CONTENT, b"", b"short"])
def test_compression_is_told_by_the_first_bytes(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / "list"
    path.write_bytes(COMPRESSIONS[suffix](content))
    assert b"".join(read_blocks(path)) == content
    assert first_bytes(path, 10) == content[:10]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_several_members_are_one_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "list"
    path.write_bytes(COMPRESSIONS[suffix](b"one") + COMPRESSIONS[suffix](CONTENT) + COMPRESSIONS[suffix](b"two"))
    assert b"".join(read_blocks(path)) == b"one" + CONTENT + b"two"


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("left", [5, 100_000, -1, -5])
def test_file_that_breaks_off_is_not_taken_for_whole(tmp_path: Path, suffix: str, left: int) -> None:
    path = tmp_path / "list"
    path.write_bytes(COMPRESSIONS[suffix](CONTENT)[:left])
    with pytest.raises(InvalidInput, match="break off") as error:
        list(read_blocks(path))
    assert error.value.field == str(path)


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_damaged_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "list"
    compressed = bytearray(COMPRESSIONS[suffix](CONTENT) + b"trailing")
    path.write_bytes(compressed)
    with pytest.raises(InvalidInput, match="damaged"):
        list(read_blocks(path))


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.ZstdCompressor(level=19).compress])
def test_bomb_comes_in_bounded_blocks(tmp_path: Path, compress: object) -> None:
    path = tmp_path / "list"
    path.write_bytes(compress(bytes(200 << 20)))  # type: ignore[operator]
    assert max(map(len, read_blocks(path))) <= 33 << 20


def test_pages_in_natural_order(tmp_path: Path) -> None:
    names = ["page-1.xml", "page-2.xml", "page-10.xml", "page-x.xml"]
    for name in [*reversed(names), ".hidden"]:
        (tmp_path / name).touch()
    assert [page.name for page in pages_of(tmp_path)] == names
    assert pages_of(tmp_path / names[0]) == [tmp_path / names[0]]


def test_what_is_no_list(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "nested" / "inner").mkdir(parents=True)
    os.mkfifo(tmp_path / "pipe")
    for name, problem in (
        ("missing", "neither a file nor a folder"),
        ("pipe", "neither"),
        ("empty", "empty folder"),
        ("nested", "not a file"),
        ("nul\0", "."),
        ("long" * 1000, "."),
    ):
        with pytest.raises(InvalidInput, match=problem):
            pages_of(tmp_path / name)


def test_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "list"
    path.touch()

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InvalidInput, match="Permission denied"):
        list(read_blocks(path))
