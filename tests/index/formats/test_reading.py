from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nearhash_index.errors import InvalidInput
from nearhash_index.formats import LIST_FORMATS, ListOptions, read_list
from nearhash_index.hash_types import HASH_TYPES
from tests.index.formats import test_ncmec, test_stopncii
from tests.index.formats.lists import COMPRESSIONS, hashes, md5, pdq, read

SAMPLES = {
    "csv": f'hash,hash_type,entry_id,labels\n{pdq(1)},pdq256,a,"p;q"\n{md5(1)},md5,a,\n{md5(2)},md5,b,\n',
    "tsv": f"entry_id\thash\thash_type\na\t{pdq(1)}\tpdq256\na\t{md5(1)}\tmd5\nb\t{md5(2)}\tmd5\n",
    "hex": f"# ours\n{md5(1)}\n{md5(2)}\n",
    "jsonl": f'{{"hash": "{md5(1)}", "hash_type": "md5"}}\n{{"hash": "{md5(2)}", "hash_type": "md5"}}\n',
    "threatexchange": f"# ours\n{md5(1)}\npdq {pdq(1)}\nvideo_md5 {md5(2)}\n",
    "ncmec": test_ncmec.page(test_ncmec.record() + test_ncmec.record("deletedImage", "2"), test_ncmec.record("video")),
    "stopncii": test_stopncii.page(
        test_stopncii.record(1), test_stopncii.record(2, "Withdrawn"), test_stopncii.record(3)
    ),
}
MD5 = HASH_TYPES["md5"]


@pytest.mark.parametrize("suffix", COMPRESSIONS)
@pytest.mark.parametrize("list_format", LIST_FORMATS)
def test_format_is_told_by_the_first_bytes(tmp_path: Path, list_format: str, suffix: str) -> None:
    content = COMPRESSIONS[suffix](SAMPLES[list_format].encode())
    detected = read(tmp_path / f"list{suffix}", content, hash_type=MD5)
    assert detected == read(tmp_path / f"list{suffix}", content, hash_type=MD5, list_format=list_format)
    assert len(hashes(detected)) == (3 if list_format == "threatexchange" else 2)


@pytest.mark.parametrize("list_format", LIST_FORMATS)
def test_folder_of_one_page_and_source(tmp_path: Path, list_format: str) -> None:
    (tmp_path / "page").write_text(SAMPLES[list_format])
    items = list(read_list(tmp_path, ListOptions(hash_type=MD5, source="us")))
    assert {getattr(item, "entry", item).key.source for item in items} == {"us"}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "empty"),
        (" \r\n\n", "empty"),
        ("what is this?\n", "no known list"),
        ("[1, 2]", "no known list"),
        ("hash,hash_type\n".encode("utf-16"), "zero bytes"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "zero bytes"),
        ("a" * (2 << 20), "longer than"),
    ],
)
def test_files_of_no_known_format(tmp_path: Path, content: str | bytes, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem) as error:
        read(tmp_path / "list", content, hash_type=MD5)
    assert error.value.field == str(tmp_path / "list")


def test_zero_bytes_further_on(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="zero bytes"):
        read(tmp_path / "list", md5(1) + "\n" + "#" * 100_000 + "\0", hash_type=MD5)


@pytest.mark.parametrize("wrong", [{"list_format": "xls"}, {"source": "a b"}, {"min_quality": 101}])
def test_wrong_options(wrong: dict[str, object]) -> None:
    (field,) = wrong
    with pytest.raises(InvalidInput, match=field):
        ListOptions(**wrong)  # type: ignore[arg-type]


def contents() -> st.SearchStrategy[bytes]:
    """Garbage, and lists with some bytes replaced, taken out or put in, perhaps compressed."""

    @st.composite
    def mutated(draw: st.DrawFn) -> bytes:
        content = draw(st.sampled_from(list(SAMPLES.values()))).encode()
        for _ in range(draw(st.integers(1, 4))):
            at = draw(st.integers(0, len(content)))
            piece = draw(st.binary(max_size=3) | st.sampled_from([b'"', b"\n", b"<", b">", b"{", b",", b"]", b"null"]))
            content = content[:at] + piece + content[at + draw(st.integers(0, 40)) :]
        return content

    @st.composite
    def compressed(draw: st.DrawFn) -> bytes:
        content = bytearray(draw(st.sampled_from(list(COMPRESSIONS.values())))(draw(mutated())))
        if content and draw(st.booleans()):
            content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
        return bytes(content)

    return st.binary(max_size=200) | mutated() | compressed()


@given(contents(), st.none() | st.sampled_from(LIST_FORMATS), st.none() | st.just(MD5))
@settings(max_examples=400, deadline=5000, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_content_raises_anything_but_invalid_input(
    tmp_path: Path, content: bytes, list_format: str | None, hash_type: object
) -> None:
    try:
        items = read(tmp_path / "list", content, list_format=list_format, hash_type=hash_type)
    except InvalidInput:
        return
    for item in items:
        assert item.place


# Not by getrusage: that begins with the peak of the process that started this one.
MEMORY = """
import re, sys
from pathlib import Path
from nearhash_index.formats import read_list
def peak_mib():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
list(read_list(Path(sys.argv[1])))
before = peak_mib()
print(sum(1 for _ in read_list(Path(sys.argv[2]))), peak_mib() - before)
"""


def test_memory_is_bounded(tmp_path: Path) -> None:
    """A million rows, one in ten of them named, grow memory by little."""
    (tmp_path / "small.csv").write_text(f"hash,hash_type,entry_id\n{md5(1)},md5,a\n")
    block = "".join(f"{md5(i)},md5,\n" for i in range(20_000)).encode()
    with gzip.open(tmp_path / "large.csv.gz", "wb", compresslevel=1) as file:
        file.write(b"hash,hash_type,entry_id\n")
        for _ in range(45):
            file.write(block)
        for i in range(100_000):
            file.write(b"%032x,md5,case-%d\n" % (i, i))
    counted = subprocess.run(
        [sys.executable, "-c", MEMORY, tmp_path / "small.csv", tmp_path / "large.csv.gz"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert int(counted[0]) == 1_000_000
    assert float(counted[1]) < 20
