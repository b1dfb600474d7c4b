from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearhash_index.entries import Entry, Hash
from nearhash_index.errors import InvalidInput
from nearhash_index.formats import check_file, read_entries
from nearhash_index.hash_types import HASH_TYPES, HashType

from ..samples import MD5, PDQ256, PHASH64, entry, random_hash

RNG = np.random.default_rng(1)
A, B, C = (random_hash(RNG) for _ in range(3))
PDQ, SUM = random_hash(RNG, PDQ256), random_hash(RNG, MD5)
a, b, c, pdq, md5 = (item.value.hex() for item in (A, B, C, PDQ, SUM))
FLAT = "8000000000000000"


def read(path: Path, content: str | bytes, hash_type: HashType | None = PHASH64) -> list[Entry]:
    """Write the list, check it, and read its entries."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    entries = list(read_entries(path, hash_type))
    assert check_file(path, hash_type) == len(entries)
    return entries


def refusal(path: Path, content: str | bytes, hash_type: HashType | None = PHASH64) -> str:
    """Return why the list is refused, without its path."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InvalidInput) as caught:
        check_file(path, hash_type)
    assert caught.value.field.startswith(str(path))
    return str(caught.value).removeprefix(str(path))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "list.csv"


# CSV.


def test_all_columns(path: Path) -> None:
    content = f"hash,hash_type,entry_id,source,labels\n{a},phash64,1,ncmec,x; y ;;x\n{md5},md5,2,,\n"
    assert read(path, content, None) == [
        entry("1", A, source="ncmec", labels=("x", "y")),
        entry("2", SUM, source="local"),
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (f"hash\n{a}\n{b}\n", [entry(a, A), entry(b, B)]),
        (f"hash,source\n{a},ncmec\n", [entry(a, A, source="ncmec")]),
        (f"entry_id,hash\n7,{a}\n", [entry("7", A)]),
        (f"labels,source,entry_id,hash_type,hash\nx,s,7,md5,{md5}\n", [entry("7", SUM, source="s", labels=("x",))]),
    ],
    ids=["hash alone", "without id", "another order", "all reversed"],
)
def test_columns_in_any_number_and_order(path: Path, content: str, expected: list[Entry]) -> None:
    assert read(path, content) == expected


@pytest.mark.parametrize(
    "content",
    [
        f'"hash","entry_id"\n"{a}","7, with ""quotes"""\n'.encode(),
        f'\ufeffhash,entry_id\n{a},"7, with ""quotes"""\n'.encode(),
        f'\ufeff"hash",entry_id\n{a},"7, with ""quotes"""\n'.encode(),
        f'hash,entry_id\r\n{a},"7, with ""quotes"""\r\n'.encode(),
        f'hash,entry_id\r{a},"7, with ""quotes"""\r'.encode(),
        f'hash,entry_id\n\n{a},"7, with ""quotes"""\n\n\n'.encode(),
        f'hash,entry_id\n{a},"7, with ""quotes"""'.encode(),
        f' HASH , Entry_Id\n {a.upper()} ,"7, with ""quotes"""\n'.encode(),
    ],
    ids=["quoted", "BOM", "BOM and quoted", "CRLF", "CR", "empty lines", "no last newline", "capitals and spaces"],
)
def test_what_spreadsheets_write(path: Path, content: bytes) -> None:
    assert read(path, content) == [entry('7, with "quotes"', A)]


def test_a_row_tells_its_type_or_has_the_default(path: Path) -> None:
    content = f"hash,hash_type\n{a},\n{b},dhash64\n{pdq},pdq256\n"
    assert read(path, content) == [entry(a, A), entry(b, Hash(HASH_TYPES["dhash64"], B.value)), entry(pdq, PDQ)]


def test_consecutive_rows_of_one_entry_become_one(path: Path) -> None:
    content = (
        f"entry_id,source,labels,hash_type,hash\n7,s,x,phash64,{a}\n7,s,y;x,pdq256,{pdq}\n7,s,,phash64,{a}\n"
        f"7,other,z,phash64,{a}\n8,s,,phash64,{b}\n"
    )
    assert read(path, content) == [
        entry("7", A, PDQ, source="s", labels=("x", "y")),
        entry("7", A, source="other", labels=("z",)),
        entry("8", B, source="s"),
    ]


def test_separated_rows_of_one_entry_are_refused_with_both_lines(path: Path) -> None:
    content = f"entry_id,hash\n7,{a}\n7,{b}\n8,{a}\n\n7,{c}\n"
    expected = ", line 6, entry_id: '7' was named on line 2 already; put the rows of one entry next to each other"
    assert refusal(path, content) == expected


def test_rows_that_name_no_entry_may_repeat_a_hash(path: Path) -> None:
    content = f"hash\n{a}\n{b}\n{a}\n"
    assert read(path, content) == [entry(a, A), entry(b, B), entry(a, A)]


def test_a_header_alone_is_an_empty_list(path: Path) -> None:
    assert read(path, "hash,entry_id\n", None) == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("hash,color\n", "1: unknown column 'color'; the columns are hash, hash_type, entry_id, source, labels"),
        ("hash,\n", "1: unknown column ''; the columns are hash, hash_type, entry_id, source, labels"),
        ("hash,source,Hash\n", "1: column 'hash' appears twice"),
        (f"hash,source\n{a}\n", "2: 1 fields; the header has 2"),
        (f"hash,source\n{a},s,x\n", "2: 3 fields; the header has 2"),
        (f"hash\n{a}\n\n{b[:-1]}\n", "4, hash: 15 characters; a phash64 hash has 16 hexadecimal digits"),
        (f"hash\n{a[:-1]}g\n", "2, hash: not hexadecimal; a phash64 hash has 16 digits of 0-9 and a-f"),
        (f"hash,source\n,{a}\n", "2, hash: 0 characters; a phash64 hash has 16 hexadecimal digits"),
        (
            f"hash,hash_type\n{a},photodna\n",
            f"2, hash_type: 'photodna' is not a hash type; use one of {', '.join(HASH_TYPES)}",
        ),
        (f"hash,source\n{a},n c\n", "2, source: 'n c' is no name; use 1 to 64 letters, digits, '-', '_' or '.', a"),
        (f"hash,entry_id\n{a},{'x' * 256}\n", "2, entry_id: 256 bytes of UTF-8; use 1 to 255"),
        (f'hash,entry_id\n{a},"x\ny"\n', "3, entry_id: holds control characters; use printable text"),
        (f"hash,labels\n{a},{'x' * 65}\n", "2, labels: "),
        (f"hash,labels\n{a},{';'.join(map(str, range(33)))}\n", "2, labels: 33 labels; use at most 32"),
        (f"hash\n{a}\n{FLAT}\n", "3, hash: this phash64 hash says too little about its image"),
        (f'hash\n{a}\n"{b}\n', "3: not CSV: unexpected end of data"),
        (f'hash\n"{b}"x\n', "2: not CSV: "),
    ],
)
def test_a_malformed_row_is_named_by_line_and_column(path: Path, content: str, expected: str) -> None:
    assert refusal(path, content).startswith(f", line {expected}")


def test_reading_names_the_same_place_as_checking(path: Path) -> None:
    expected = refusal(path, f"hash\n{a}\n{b}\n{c[:-1]}\n")
    entries = read_entries(path, PHASH64)
    assert next(entries) == entry(a, A)
    with pytest.raises(InvalidInput, match=re.escape(f"{path}{expected}")):
        next(entries)


def test_a_row_without_any_type_is_refused(path: Path) -> None:
    content = f"hash,hash_type\n{a},phash64\n{b},\n"
    expected = ", line 3, hash_type: empty; fill it in, or give a hash type for the whole file"
    assert refusal(path, content, None) == expected


def test_a_degenerate_hash_is_named_by_its_very_line_also_inside_an_entry(path: Path) -> None:
    content = f"entry_id,hash\n7,{a}\n7,{b}\n7,{FLAT}\n7,{c}\n"
    assert refusal(path, content).startswith(", line 4, hash: this phash64 hash says too little about its image")


def test_an_entry_with_too_many_hashes_is_refused_at_the_row_that_is_too_much(path: Path) -> None:
    rows = [f"7,{random_hash(RNG).value.hex()}\n" for _ in range(65)]
    assert len(read(path, "entry_id,hash\n" + "".join(rows[:64]))[0].hashes) == 64
    assert refusal(path, "entry_id,hash\n" + "".join(rows)) == ", line 66: 65 hashes; use 1 to 64"


def test_the_last_of_very_many_rows_is_checked_too(path: Path) -> None:
    hashes = [random_hash(RNG).value.hex() for _ in range(25_000)]
    rows = "".join(f"{digits}\n" for digits in hashes)
    assert [each.key.entry_id for each in read(path, f"hash\n{rows}")] == hashes
    assert refusal(path, f"hash\n{rows}{FLAT}\n").startswith(", line 25002, hash: this phash64 hash says too little")


# Plain hashes.


def test_plain_hashes_with_comments(path: Path) -> None:
    content = f"# from the weekly list\n{a}\n\n  {b.upper()} \r\n   # done\n{c}"
    assert read(path, content) == [entry(a, A), entry(b, B), entry(c, C)]


def test_plain_hashes_after_a_byte_order_mark(path: Path) -> None:
    assert read(path, f"\ufeff{md5}\n", MD5) == [entry(md5, SUM)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (f"{a}\n{b}0\n", "2, hash: 17 characters; a phash64 hash has 16 hexadecimal digits"),
        (f"{a}\n#\n{b[:-1]}x\n", "3, hash: not hexadecimal; a phash64 hash has 16 digits of 0-9 and a-f"),
        (f"{a}\n\n{FLAT}\n", "3, hash: this phash64 hash says too little about its image"),
        (f"entry_id,source\n7,{a}\n", "1, hash: 15 characters; a phash64 hash has 16 hexadecimal digits"),
    ],
)
def test_a_malformed_line_is_named(path: Path, content: str, expected: str) -> None:
    assert refusal(path, content).startswith(f", line {expected}")


def test_plain_hashes_need_a_type(path: Path) -> None:
    expected = ", hash_type: a file of plain hashes does not tell their type; give one"
    assert refusal(path, f"{a}\n", None) == expected


# Other files.


def test_an_empty_file_is_an_empty_list(path: Path) -> None:
    assert read(path, "") == []


@pytest.mark.parametrize(
    "content",
    [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "hash\n".encode("utf-16"), f"hash\n{a}\n".encode() + b"\xff\n"],
    ids=["PNG", "UTF-16", "bad byte after good rows"],
)
def test_what_is_no_text_is_refused(path: Path, content: bytes) -> None:
    assert refusal(path, content) == ": not a text file: it is not UTF-8"


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "missing.csv", "No such file or directory"), (tmp_path, "Is a directory")):
        for use in (check_file, lambda *arguments: list(read_entries(*arguments))):
            with pytest.raises(InvalidInput, match=f"^{re.escape(str(path))}: cannot be read: {reason}$"):
                use(path, PHASH64)


@settings(max_examples=200, deadline=None)
@given(
    content=st.binary(max_size=200) | st.text(st.sampled_from(f'hash,entry_id\n"{a}#;'), max_size=200).map(str.encode)
)
def test_any_content_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content)
    try:
        count = check_file(path, PHASH64)
    except InvalidInput:
        assert refusal(path, content)
    else:
        assert count == len(list(read_entries(path, PHASH64)))
