import io
import os
import threading

import pytest

from nearhash_client.hashing import ImageTooLarge, Limits, NotAnImage, compute

from . import photographs

PATH = photographs.FOLDER / "coffee.png"
TYPES = ("phash64", "md5")


def test_every_kind_of_source_gives_the_same_hashes():
    data = PATH.read_bytes()
    expected = compute(PATH, TYPES)
    assert compute(str(PATH), TYPES) == expected
    assert compute(data, TYPES) == expected
    assert compute(io.BytesIO(data), TYPES) == expected
    with PATH.open("rb") as file:
        assert compute(file, TYPES) == expected
        assert not file.closed
    with PATH.open("rb", buffering=0) as raw_file:
        assert compute(raw_file, TYPES) == expected


def test_a_file_is_read_from_its_position():
    file = io.BytesIO(b"header" + PATH.read_bytes())
    file.seek(len(b"header"))
    assert compute(file, TYPES) == compute(PATH, TYPES)


def test_a_pipe_that_cannot_seek_is_read():
    reading, writing = os.pipe()

    def write() -> None:
        with open(writing, "wb") as pipe:
            pipe.write(PATH.read_bytes())

    writer = threading.Thread(target=write)
    writer.start()
    with open(reading, "rb") as pipe:
        assert compute(pipe, TYPES) == compute(PATH, TYPES)
    writer.join()


@pytest.mark.parametrize("hash_types", [("phash64",), ("md5",)])
def test_an_empty_source_has_no_hash(tmp_path, hash_types):
    empty = tmp_path / "empty.jpg"
    empty.touch()
    with pytest.raises(NotAnImage, match=r"empty\.jpg: empty; pass a file with content"):
        compute(empty, hash_types)
    with pytest.raises(NotAnImage, match=r"^<bytes>: empty"):
        compute(b"", hash_types)


@pytest.mark.parametrize("hash_types", [("phash64",), ("md5",)])
def test_a_directory_is_no_image(tmp_path, hash_types):
    with pytest.raises(NotAnImage, match=r": a directory; pass one image file$"):
        compute(tmp_path, hash_types)


def test_a_file_opened_as_text_is_refused(tmp_path):
    (tmp_path / "list.txt").write_text("words")
    with (tmp_path / "list.txt").open() as file, pytest.raises(NotAnImage, match=r"list\.txt: opened as text; .*'rb'$"):
        compute(file)


def test_a_missing_file_is_an_os_error():
    with pytest.raises(FileNotFoundError, match=r"no-such-file\.jpg"):
        compute("no-such-file.jpg")


@pytest.mark.parametrize("source", [7, None, ["photo.jpg"]])
def test_another_kind_of_source_is_told_what_to_pass(source):
    with pytest.raises(NotAnImage, match=f"^<{type(source).__name__}>: pass a path, bytes, a binary file or a PIL"):
        compute(source)


def test_the_size_limit_is_inclusive():
    data = PATH.read_bytes()
    assert compute(data, limits=Limits(max_bytes=len(data)))
    with pytest.raises(ImageTooLarge, match=f"^<bytes>: larger than max_bytes = {len(data) - 1}, the most"):
        compute(data, limits=Limits(max_bytes=len(data) - 1))


def test_an_endless_file_is_given_up_at_the_limit():
    with open("/dev/zero", "rb") as endless, pytest.raises(ImageTooLarge, match=r"^/dev/zero: larger than max_bytes"):
        compute(endless, limits=Limits(max_bytes=4 * 1024 * 1024))
