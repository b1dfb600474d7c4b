"""Plain hashes, ThreatExchange's local file, JSON Lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nearhash_index.entries import EntryKey
from nearhash_index.errors import InvalidInput
from nearhash_index.formats import Quarantined, Rejected, Removal, Skipped, Upsert
from nearhash_index.hash_types import HASH_TYPES
from tests.index.formats.lists import digits, hashes, md5, of, pdq, read


def test_plain_hashes(tmp_path: Path) -> None:
    text = f"# flagged in May\n{md5(1)}\r\n\n  {md5(2).upper()}  \nnope\n{md5(1)}"
    items = read(tmp_path / "list.txt", text, hash_type=HASH_TYPES["md5"])
    assert list(hashes(items)) == [md5(1), md5(2)]
    assert [item.place for item in of(items, Upsert)] == [f"list.txt, line {i}" for i in (2, 4, 6)]
    assert [item.place for item in of(items, Rejected)] == ["list.txt, line 5"]


def test_plain_hashes_need_a_type(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"hash_type: .*give one"):
        read(tmp_path / "list.txt", md5(1))


def test_threatexchange_local_file(tmp_path: Path) -> None:
    text = (
        f"pdq {pdq(1)}\nvideo_md5\t{md5(1)}\nPHOTO_MD5 {md5(2)}\n# no\nvideo_tmk_pdqf AAAA\nsha1 {digits(3, 'sha1')}\n"
    )
    text += (
        f"{pdq(4)}\nnonsense {md5(5)}\npdq {md5(6)}\npdq {pdq(7)} x\n{pdq(8)} {pdq(9)}\nsha256 {digits(9, 'sha256')}"
    )
    items = read(tmp_path / "te.txt", text, hash_type=HASH_TYPES["pdq256"])
    assert [value for values in hashes(items).values() for value in values] == [
        f"pdq256 {pdq(1)}",
        f"md5 {md5(1)}",
        f"md5 {md5(2)}",
        f"sha1 {digits(3, 'sha1')}",
        f"pdq256 {pdq(4)}",
        f"sha256 {digits(9, 'sha256')}",
    ]
    assert of(items, Skipped) == [Skipped("te.txt, line 5", "video_tmk_pdqf fingerprint")]
    assert [item.place for item in of(items, Rejected)] == [f"te.txt, line {i}" for i in (8, 9, 10, 11)]
    assert not any(pdq(i)[:16] in item.reason for item in of(items, Rejected) for i in range(10))


def test_bare_hash_of_no_type_in_threatexchange_file(tmp_path: Path) -> None:
    items = read(tmp_path / "te.txt", f"pdq {pdq(1)}\n{pdq(2)}\n")
    assert len(hashes(items)) == 1
    assert [item.place for item in of(items, Rejected)] == ["te.txt, line 2"]


def lines(*records: object) -> str:
    return "\n".join(record if isinstance(record, str) else json.dumps(record) for record in records)


def test_json_lines(tmp_path: Path) -> None:
    items = read(
        tmp_path / "list.jsonl",
        lines(
            {
                "hash": pdq(1),
                "hash_type": "pdq256",
                "entry_id": "a",
                "source": "x",
                "labels": ["p", "q r"],
                "quality": 98,
            },
            {"hash": md5(2), "hash_type": "md5", "labels": "p;q", "quality": None},
            {
                "entry_id": "c",
                "labels": ["p"],
                "hashes": [
                    {"hash_type": "pdq256", "hash": pdq(3), "quality": 10},
                    {"hash_type": "md5", "hash": md5(3), "hasher": "ours 7"},
                    {"hash_type": "md5", "hash": "12"},
                    {"hash_type": "pdna", "hash": "12"},
                    {"hash_type": "sha1", "hash": digits(3, "sha1")},
                ],
            },
            {"entry_id": "d", "action": "remove"},
        ),
    )
    assert hashes(items) == {
        "a": [f"pdq256 {pdq(1)}"],
        md5(2): [f"md5 {md5(2)}"],
        "c": [f"md5 {md5(3)}", f"sha1 {digits(3, 'sha1')}"],
    }
    assert [(item.entry.key.source, item.entry.labels) for item in of(items, Upsert)] == [
        ("x", ("p", "q r")),
        ("local", ("p", "q")),
        ("local", ("p", "hasher=ours 7")),
    ]
    assert [(item.place, item.hash.value.hex()) for item in of(items, Quarantined)] == [
        ("list.jsonl, line 3, hash 1", pdq(3))
    ]
    assert [item.place for item in of(items, Rejected)] == ["list.jsonl, line 3, hash 3"]
    assert of(items, Skipped) == [Skipped("list.jsonl, line 3, hash 4", "pdna fingerprint")]
    assert of(items, Removal) == [Removal("list.jsonl, line 4", EntryKey("d", "local"), withdrawn=False)]


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        "[]",
        "null",
        "{}",
        '{"hash": 12, "hash_type": "md5"}',
        {"hash": md5(9), "hash_type": "md5", "colour": "red"},
        {"hash": md5(9), "hash_type": "md5", "quality": 5.5},
        {"hash": md5(9), "hash_type": "md5", "quality": True},
        {"hash": md5(9), "hash_type": "md5", "labels": [1]},
        {"hash": md5(9), "hash_type": "md5", "labels": ["a;b"]},
        {"hash": md5(9), "hash_type": "md5", "hashes": [{"hash_type": "md5", "hash": md5(9)}]},
        {"hashes": [{"hash_type": "md5", "hash": md5(9)}, {"hash_type": "md5", "hash": md5(8)}]},
        {"entry_id": "c", "hashes": []},
        {"entry_id": "c", "hashes": [md5(9)]},
        {"entry_id": "c", "hashes": [{"hash_type": "md5", "hash": md5(9), "source": "x"}]},
        f'{{"hash": "{md5(9)}", "hash_type": "md5", "entry_id": "\\ud800"}}',
    ],
)
def test_malformed_json_line_spoils_nothing_else(tmp_path: Path, bad: object) -> None:
    good = [{"hash": md5(i), "hash_type": "md5", "entry_id": str(i)} for i in range(2)]
    items = read(tmp_path / "list.jsonl", lines(good[0], bad, good[1]))
    assert list(hashes(items)) == ["0", "1"]
    (rejected,) = of(items, Rejected)
    assert rejected.place.startswith("list.jsonl, line 2")
    assert md5(9)[:16] not in rejected.reason
