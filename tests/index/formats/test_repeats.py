from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nearhash_index.errors import InvalidInput
from nearhash_index.formats import Rejected, Removal, Skipped, read_list, repeats
from nearhash_index.formats.repeats import FingerprintSet
from tests.index.formats.lists import hashes, md5, of, read

HEAD = "hash,hash_type,entry_id,source,action\n"


def test_fingerprint_set_is_a_set() -> None:
    rng = np.random.default_rng(1)
    ours, theirs = FingerprintSet(), set[int]()
    for size in (0, 1, 1000, 30_000, 100_000, 50_000):
        # Few high bits, so that many share a slot; and few values, so that many come again.
        values = rng.integers(1, 400_000, size, dtype=np.uint64) << np.uint64(rng.integers(40))
        expected = []
        for value in values.tolist():
            expected.append(value in theirs)
            theirs.add(value)
        assert ours.add(values).tolist() == expected


def rows(*named: str) -> str:
    return HEAD + "".join(f"{md5(i)},md5,{name},,\n" for i, name in enumerate(named))


@pytest.mark.parametrize("between", [1, 3000])
def test_entry_named_again_apart_is_not_replaced(tmp_path: Path, between: int) -> None:
    text = rows("a", "b", "b", *(f"x{i}" for i in range(between)), "a", "c", "a", "a")
    items = read(tmp_path / "list.csv", text)
    assert hashes(items)["a"] == [f"md5 {md5(0)}"]
    assert len(hashes(items)) == between + 3
    assert [(item.place, item.reason) for item in of(items, Rejected)] == [
        (f"list.csv, line {line}", "list.csv, line 2 names this entry too; put its rows next to each other")
        for line in (between + 5, between + 7)
    ]


def test_same_id_of_another_source_is_another_entry(tmp_path: Path) -> None:
    items = read(tmp_path / "list.csv", f"{HEAD}{md5(1)},md5,a,x,\n{md5(2)},md5,a,y,\n{md5(3)},md5,b,x,\n")
    assert len(items) == 3
    assert not of(items, Rejected)


def test_what_says_the_same_twice_is_no_contradiction(tmp_path: Path) -> None:
    text = f"{HEAD}{md5(1)},md5,a,,\n{md5(2)},md5,b,,\n{md5(1)},md5,a,,\n,,r,,remove\n{md5(3)},md5,,,\n,,r,,remove\n"
    items = read(tmp_path / "list.csv", text)
    assert not of(items, Rejected)
    assert [item.place for item in of(items, Skipped)] == ["list.csv, line 4", "list.csv, line 7"]
    assert len(of(items, Removal)) == 1


def test_entry_removed_and_added_apart(tmp_path: Path) -> None:
    items = read(tmp_path / "list.csv", f"{HEAD},,a,,remove\n{md5(2)},md5,b,,\n{md5(1)},md5,a,,\n")
    assert [item.place for item in of(items, Rejected)] == ["list.csv, line 4"]
    assert list(hashes(items)) == ["b"]


def test_repeated_over_pages(tmp_path: Path) -> None:
    for name in ("page-1.csv", "page-2.csv"):
        (tmp_path / name).write_text(rows("a", name))
    (tmp_path / "page-2.csv").write_text(rows("b", "a"))
    assert [item.place for item in of(list(read_list(tmp_path)), Rejected)] == ["page-2.csv, line 3"]


def test_unequal_names_of_one_fingerprint_are_both_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "_fingerprint", lambda _: 7)
    items = read(tmp_path / "list.csv", rows("a", "b", "c", "a"))
    assert sorted(hashes(items)) == ["a", "b", "c"]
    assert [item.place for item in of(items, Rejected)] == ["list.csv, line 5"]


def test_list_that_must_be_sorted_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "_MAX_HELD", 10)
    with pytest.raises(InvalidInput, match="sort the rows") as error:
        read(tmp_path / "list.csv", rows(*"abcdefghijkl", *"abcdefghijkl"))
    assert error.value.field == str(tmp_path / "list.csv")
