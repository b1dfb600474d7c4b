from __future__ import annotations

from pathlib import Path

import pytest

from nearhash_index.entries import EntryKey, Hash
from nearhash_index.errors import InvalidInput
from nearhash_index.formats import Quarantined, Rejected, Removal, Skipped, Upsert
from nearhash_index.hash_types import HASH_TYPES
from tests.index.formats.lists import hashes, md5, of, pdq, read

PDQ256 = HASH_TYPES["pdq256"]


def test_columns_of_any_order_and_case_with_bom_and_crlf(tmp_path: Path) -> None:
    text = "\ufeffLabels, Entry_ID,HASH,hash_type,Source,quality,action\r\n"
    text += f'"minor; video",case-1,{pdq(1).upper()},PDQ256,ncmec,98,upsert\r\n'
    (item,) = read(tmp_path / "list.csv", text)
    assert isinstance(item, Upsert)
    assert item.place == "list.csv, line 2"
    assert item.entry.key == EntryKey("case-1", "ncmec")
    assert item.entry.labels == ("minor", "video")
    assert hashes([item]) == {"case-1": [f"pdq256 {pdq(1)}"]}


def test_tsv(tmp_path: Path) -> None:
    items = read(tmp_path / "list.tsv", f"hash\tentry_id\thash_type\n{md5(1)}\ta, b\tmd5\n")
    assert hashes(items) == {"a, b": [f"md5 {md5(1)}"]}


def test_hash_alone_is_its_own_entry(tmp_path: Path) -> None:
    items = read(
        tmp_path / "list.csv", f"hash\n{md5(1)}\n{md5(2)}\n{md5(1)}\n", hash_type=HASH_TYPES["md5"], source="us"
    )
    assert [item.entry.key for item in of(items, Upsert)] == [EntryKey(md5(i), "us") for i in (1, 2, 1)]


def test_consecutive_rows_of_one_entry_make_one(tmp_path: Path) -> None:
    text = f"hash,hash_type,entry_id,source,labels\n{pdq(1)},pdq256,a,x,p\nbad,pdq256,a,x,\n{md5(1)},md5,a,x,p;q\n"
    text += f"{md5(2)},md5,a,y,\n"
    rejected, first, second = read(tmp_path / "list.csv", text)
    assert isinstance(rejected, Rejected)
    assert rejected.place == "list.csv, line 3"
    assert isinstance(first, Upsert)
    assert hashes([first]) == {"a": [f"pdq256 {pdq(1)}", f"md5 {md5(1)}"]}
    assert first.entry.labels == ("p", "q")
    assert isinstance(second, Upsert)
    assert second.entry.key == EntryKey("a", "y")


def test_more_hashes_than_an_entry_may_have(tmp_path: Path) -> None:
    items = read(tmp_path / "list.csv", "hash,hash_type,entry_id\n" + "".join(f"{md5(i)},md5,a\n" for i in range(260)))
    assert len(hashes(items)["a"]) == 255
    assert [item.place for item in of(items, Rejected)] == [f"list.csv, line {i}" for i in range(257, 262)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("12,md5,c,,,,", "2 characters"),
        (f"{'z' * 32},md5,c,,,,", "not hexadecimal"),
        (f"{md5(9)[:30]} 0,md5,c,,,,", "not hexadecimal"),
        (f",{md5(9)},c,,,,", "not a hash type"),
        (f"{md5(9)},,c,,,,", "hash_type: missing"),
        (f"{md5(9)},md5,c\x01,,,,", "control characters"),
        (f"{md5(9)},md5,{'c' * 300},,,,", "300 bytes"),
        (f"{md5(9)},md5,c,{md5(9)}!,,,", "no name"),
        (f"{md5(9)},md5,c,,{'l' * 65},,", "no label"),
        (f"{md5(9)},md5,c,,,101,", "quality"),
        (f"{md5(9)},md5,c,,,high,", "quality"),
        (f"{md5(9)},md5,c,,,,delete", "action"),
        (f"{md5(9)},md5,c", "3 fields; the header has 7"),
        (f'"{md5(9)}"x,md5,c,,,,', "not CSV"),
        (f'"{md5(9)},md5,c,,,,', "not CSV"),
        (f"{md5(9)},md5,caf\xe9,,,,", "UTF-8"),
        (f"{md5(9)},md5,c,,caf\xe9,,", "UTF-8"),
        (f"{md5(9)},md5,c,,,,\r,", "not CSV"),
    ],
)
def test_malformed_row_spoils_nothing_else(tmp_path: Path, row: str, reason: str) -> None:
    head = "hash,hash_type,entry_id,source,labels,quality,action\n"
    text = f"{head}{md5(1)},md5,a,,,,\n{row}\n{md5(2)},md5,b,,,,\n\n{md5(3)},md5,d,,,,\n"
    items = read(tmp_path / "list.csv", text.encode("latin-1"))
    assert list(hashes(items)) == ["a", "b", "d"]
    (rejected,) = of(items, Rejected)
    assert rejected.place == "list.csv, line 3"
    assert reason in rejected.reason
    assert md5(9)[:30] not in rejected.reason


def test_what_computed_the_hashes_becomes_labels(tmp_path: Path) -> None:
    text = "hash,hash_type,entry_id,labels,hasher\n"
    text += f"{pdq(1)},pdq256,a,cat,pdqhash 0.2.8\n{pdq(2)},pdq256,a,cat,pdqhash 0.2.8\n{md5(1)},md5,a,,\n"
    text += f"{pdq(3)},pdq256,b,, a 1 \n{pdq(4)},pdq256,b,,b 2\n"
    text += f"{pdq(5)},pdq256,c,,{'h' * 58}\n{pdq(6)},pdq256,d,,a;b\n"
    items = read(tmp_path / "list.csv", text)
    assert [item.entry.labels for item in of(items, Upsert)] == [
        ("cat", "hasher=pdqhash 0.2.8"),
        ("hasher=a 1", "hasher=b 2"),
    ]
    assert [(item.place, item.reason.partition(":")[0]) for item in of(items, Rejected)] == [
        ("list.csv, line 7", "hasher"),
        ("list.csv, line 8", "hasher"),
    ]


def test_quoted_fields_over_lines_and_blocks(tmp_path: Path) -> None:
    text = "hash,hash_type,entry_id,labels\n"
    text += "".join(f'"{md5(i)}",md5,"a ""{i}"", b","one;\ntwo"\n' for i in range(10_000))
    items = read(tmp_path / "list.csv", text)
    assert len(hashes(items)) == len(items) == 10_000
    last = items[-1]
    assert isinstance(last, Upsert)
    assert (last.place, last.entry.labels) == ("list.csv, line 20000", ("one", "two"))
    assert last.entry.key.entry_id == 'a "9999", b'


def test_open_quote_among_many_rows_spoils_its_line_only(tmp_path: Path) -> None:
    rows = [f"{md5(i)},md5,{i}\n" for i in range(20_000)]
    rows[7] = f'"{rows[7]}'
    rows[-1] = f'"{rows[-1]}'
    items = read(tmp_path / "list.csv", "hash,hash_type,entry_id\n" + "".join(rows))
    assert [item.place for item in of(items, Rejected)] == ["list.csv, line 9", "list.csv, line 20001"]
    assert len(hashes(items)) == 19_998


def test_removals(tmp_path: Path) -> None:
    text = (
        f"hash,hash_type,entry_id,action,labels\n,,a,remove,\nbroken,,a,Remove,;\n{md5(1)},md5,,remove,\n,,,remove,\n"
    )
    items = read(tmp_path / "list.csv", text)
    assert of(items, Removal) == [
        Removal("list.csv, line 2", EntryKey("a", "local"), withdrawn=False),
        Removal("list.csv, line 4", EntryKey(md5(1), "local"), withdrawn=False),
    ]
    assert [item.place for item in of(items, Rejected)] == ["list.csv, line 5"]
    items = read(tmp_path / "list.csv", "entry_id,action\na,remove\n")
    assert items == [Removal("list.csv, line 2", EntryKey("a", "local"), withdrawn=False)]


def test_adding_and_removing_one_entry_contradict(tmp_path: Path) -> None:
    items = read(tmp_path / "list.csv", f"hash,hash_type,entry_id,action\n{md5(1)},md5,a,\n,,a,remove\n")
    assert list(hashes(items)) == ["a"]
    assert [item.place for item in of(items, Rejected)] == ["list.csv, line 3"]


def test_low_quality_and_degenerate_hashes_are_kept_aside(tmp_path: Path) -> None:
    text = "hash,hash_type,entry_id,quality,labels\n"
    text += f"{pdq(1)},pdq256,a,49,p\n{pdq(2)},pdq256,a,50,p\n{'0' * 64},pdq256,a,100,p\n{md5(1)},md5,a,0,\n"
    text += f"{'f' * 16},phash64,b,,\n{'0' * 40},sha1,c,,\n"
    items = read(tmp_path / "list.csv", text)
    assert hashes(items) == {"a": [f"pdq256 {pdq(2)}", f"md5 {md5(1)}"], "b": [], "c": [f"sha1 {'0' * 40}"]}
    assert [item.entry.quarantined for item in of(items, Upsert)] == [
        (Hash(PDQ256, bytes.fromhex(pdq(1))), Hash(PDQ256, bytes(32))),
        (Hash(HASH_TYPES["phash64"], b"\xff" * 8),),
        (),
    ]
    low, flat, other = of(items, Quarantined)
    assert (low.place, low.key.entry_id, low.hash.value.hex()) == ("list.csv, line 2", "a", pdq(1))
    assert "quality 49" in low.reason
    assert (flat.key.entry_id, flat.hash.value.hex()) == ("a", "0" * 64)
    assert "too little" in flat.reason
    assert other.key.entry_id == "b"
    assert not of(read(tmp_path / "list.csv", text, min_quality=0), Quarantined)[2:]


def test_types_that_are_not_compared_are_counted(tmp_path: Path) -> None:
    items = read(tmp_path / "list.csv", f"hash,hash_type\nabc,PDNA\n{md5(1)},md5\n")
    assert of(items, Skipped) == [Skipped("list.csv, line 2", "pdna fingerprint")]
    assert len(items) == 2


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("hash,hash_type,colour", "unknown column 'colour'; the columns are hash, hash_type, entry_id"),
        ("hash,hash_type,hash", "appears twice"),
        ("entry_id,source", "no column 'hash'"),
        ("hash,entry_id", "no column 'hash_type'"),
        ("hash,hash_type,", "unknown column ''"),
    ],
)
def test_wrong_header(tmp_path: Path, header: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=r"list\.csv, line 1") as error:
        read(tmp_path / "list.csv", f"{header}\n")
    assert problem in str(error.value)


def test_header_that_is_none_shows_no_hash(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as error:
        read(tmp_path / "list.csv", f"{pdq(1)},pdq256\n", list_format="csv")
    assert pdq(1)[:16] not in str(error.value)
