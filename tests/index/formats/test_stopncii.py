from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nearhash_index.entries import EntryKey
from nearhash_index.errors import InvalidInput
from nearhash_index.formats import Quarantined, Rejected, Removal, Skipped, Upsert, read_list
from tests.index.formats.lists import COMPRESSIONS, hashes, md5, of, pdq, read


def record(seed: object, status: str = "Active", time: Any = 1714575600, **fields: Any) -> dict[str, Any]:
    return {
        "lastModtimestamp": time,
        "hashValue": pdq(seed),
        "hashStatus": status,
        "caseNumbers": {"27664732-76e1-4a17-8099-455798e67022": status},
        "signalType": "ImagePDQ",
        "hashRegions": ["UK"],
        "CSPFeedbacks": [{"source": "Somebody", "feedbackValue": "Undefined", "tags": ["Tag-One"]}],
    } | fields


def page(*records: Any, more: bool = False, count: int | None = None) -> str:
    return json.dumps(
        {
            "count": len(records) if count is None else count,
            "nextSetTimestamp": 1714575600,
            "nextPageToken": "W3siY29tcG9" if more else None,
            "hasMoreRecords": more,
            "hashRecords": records,
        }
    )


def test_records(tmp_path: Path) -> None:
    video = record(2, "Received", signalType="VideoMD5", hashValue=md5(2).upper())
    items = read(tmp_path / "page.json", page(record(1), video, record(3, signalType="VideoTMK", hashValue="a" * 90)))
    assert hashes(items) == {f"ImagePDQ/{pdq(1)}": [f"pdq256 {pdq(1)}"], f"VideoMD5/{md5(2)}": [f"md5 {md5(2)}"]}
    assert [(item.place, item.entry.key.source) for item in of(items, Upsert)] == [
        ("page.json, record 1", "stopncii"),
        ("page.json, record 2", "stopncii"),
    ]
    assert of(items, Skipped) == [Skipped("page.json, record 3", "VideoTMK fingerprint")]
    assert len(items) == 3


@pytest.mark.parametrize("status", ["Withdrawn", "Deleted"])
def test_withdrawal_removes_unless_another_case_stands(tmp_path: Path, status: str) -> None:
    one, two = "a2696edf-1237-4eb8-a9c1-cd8ee6c055e5", "9fbb73d7-c177-4ed2-b4e8-0050b72decd0"
    items = read(
        tmp_path / "page.json",
        page(
            record("gone", status),
            record("caseless", status, caseNumbers={}),
            record("listed", status, caseNumbers=[]),
            record("both", status, caseNumbers={one: "Withdrawn", two: "Deleted"}),
            record("stands", status, caseNumbers={one: status, two: "Active"}),
            record("waits", status, caseNumbers={one: status, two: "Received"}),
        ),
    )
    removals = of(items, Removal)
    assert [(item.key, item.withdrawn) for item in removals] == [
        (EntryKey(f"ImagePDQ/{pdq(seed)}", "stopncii"), True) for seed in ("gone", "caseless", "listed", "both")
    ]
    assert list(hashes(items)) == [f"ImagePDQ/{pdq(seed)}" for seed in ("stands", "waits")]


@pytest.mark.parametrize(
    ("time", "stated_s"), [(1714575600, 1714575600), (17.9, 17), (None, 0), ("17", 0), (-1, 0), (1714575600000, 0)]
)
def test_times_that_records_state(tmp_path: Path, time: Any, stated_s: int) -> None:
    items = read(tmp_path / "page.json", page(record("a", time=time), record("b", "Withdrawn", time)))
    assert [item.stated_s for item in items if isinstance(item, (Upsert, Removal))] == [stated_s] * 2


@pytest.mark.parametrize("suffix", COMPRESSIONS)
def test_latest_state_counts_over_pages(tmp_path: Path, suffix: str) -> None:
    pages = {
        "page-2.json": page(
            record("a", "Withdrawn", 30), record("b", "Active", 30), record("c", "Deleted", None), more=True
        ),
        "page-10.json": page(record("a", "Active", 20), record("b", "Withdrawn", 20), record("c", "Active", 90)),
    }
    (tmp_path / "pages").mkdir()
    for name, text in pages.items():
        (tmp_path / "pages" / f"{name}{suffix}").write_bytes(COMPRESSIONS[suffix](text.encode()))
    items = list(read_list(tmp_path / "pages"))
    assert [item.key.entry_id for item in of(items, Removal)] == [f"ImagePDQ/{pdq(seed)}" for seed in ("a", "c")]
    assert list(hashes(items)) == [f"ImagePDQ/{pdq('b')}"]
    assert [item.what for item in of(items, Skipped)] == ["earlier state of a record"] * 3
    assert not of(items, Rejected)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (record(9, hashValue="0" * 32), "32 characters"),
        (record(9, signalType="VideoMD5", hashValue="0" * 32), "placeholder"),
        (record(9, hashValue=None), "hashValue"),
        (record(9, hashValue="not-a-hash"), "10 characters"),
        (record(9, signalType="Unknown"), "signalType"),
        (record(9, signalType=None), "signalType"),
        (record(9, signalType=["ImagePDQ"]), "signalType"),
        (record(9, "Unknown"), "hashStatus"),
        (record(9, hashStatus=None), "hashStatus"),
        (record(9, hashStatus=["Active"]), "hashStatus"),
        (record(9, caseNumbers=["not-a-mapping"]), "caseNumbers"),
        (record(9, "Withdrawn", caseNumbers={"a": ["Active"]}), "caseNumbers"),
        ("text", "not an object"),
        (None, "not an object"),
    ],
)
def test_malformed_record_spoils_nothing_else(tmp_path: Path, bad: Any, reason: str) -> None:
    items = read(tmp_path / "page.json", page(record(1), bad, record(2)))
    assert len(hashes(items)) == 2
    (rejected,) = of(items, Rejected)
    assert rejected.place == "page.json, record 2"
    assert reason in rejected.reason
    assert pdq(9)[:16] not in rejected.reason


def test_degenerate_hash(tmp_path: Path) -> None:
    items = read(tmp_path / "page.json", page(record(1, hashValue="f" * 64), record(2)))
    assert [item.place for item in of(items, Quarantined)] == ["page.json, record 1"]
    assert hashes(items) == {f"ImagePDQ/{'f' * 64}": [], f"ImagePDQ/{pdq(2)}": [f"pdq256 {pdq(2)}"]}


def test_count_may_disagree(tmp_path: Path) -> None:
    items = read(tmp_path / "page.json", page(record(1), count=800))
    assert [item.what for item in of(items, Skipped)] == ["count that disagrees with the records there"]
    assert len(hashes(items)) == 1


def test_records_that_follow_on_no_page(tmp_path: Path) -> None:
    items = read(tmp_path / "page.json", page(record(1), more=True))
    assert [item.place for item in of(items, Rejected)] == ["page.json"]


@pytest.mark.parametrize("broken", ['{"hashRecords": [', '{"error": "busy"}', '{"hashRecords": null}', "{" * 100_000])
def test_malformed_page_spoils_no_other(tmp_path: Path, broken: str) -> None:
    (tmp_path / "page-1.json").write_text(page(record(1), more=True))
    (tmp_path / "page-2.json").write_text(broken)
    (tmp_path / "page-3.json").write_text(page(record(3)))
    items = list(read_list(tmp_path))
    assert len(hashes(items)) == 2
    assert [item.place for item in of(items, Rejected)] == ["page-2.json"]


def test_no_page(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="not a JSON page"):
        read(tmp_path / "page.json", f"hash,hash_type\n{md5(1)},md5\n", list_format="stopncii")
