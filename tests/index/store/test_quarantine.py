"""Hashes kept aside: their entry's other hashes match, they match once released, and stay released."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearhash_index.entries import EntryKey, Hash
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import Registry
from nearhash_index.store.changes import Disable, Enable, Reinstate, Remove, Unquarantine, Withdraw

from ..formats.lists import digits, md5, pdq
from ..imported import BANK, Imported, look_up, told

HEAD = "hash,hash_type,entry_id,labels,quality\n"
LOW, FINE, FLAT = ("pdq256", pdq("low")), ("pdq256", pdq("fine")), ("pdq256", "0" * 64)
DIGEST = ("md5", md5("digest"))
ASKED = [LOW, FINE, FLAT, DIGEST]
A = EntryKey("a", "local")


def row(item: tuple[str, str], entry_id: str = "a", quality: int | str = "", labels: str = "") -> str:
    return f"{item[1]},{item[0]},{entry_id},{labels},{quality}\n"


def as_hash(item: tuple[str, str]) -> Hash:
    return Hash(HASH_TYPES[item[0]], bytes.fromhex(item[1]))


@pytest.fixture
def imported(tmp_path: Path) -> Imported:
    return Imported(tmp_path / "data")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A list whose one entry has a hash of each kind, the low one first."""
    path = tmp_path / "list.csv"
    path.write_text(HEAD + row(LOW, quality=10, labels="x") + row(FINE, quality=90) + row(FLAT) + row(DIGEST))
    return path


def matched(imported: Imported) -> set[tuple[str, str]]:
    """Return which hashes match through the delta, which must be those that match through a build."""
    before = look_up(imported.view(), ASKED)
    assert all(names == [A] for names in before.values())
    imported.publish()
    assert imported.view().delta.entries == ()
    assert look_up(imported.view(), ASKED) == before
    return set(before)


def aside(imported: Imported) -> dict[str, tuple[Hash, ...]]:
    with Registry(imported.directory) as registry, registry.snapshot() as snapshot:
        return {stored.entry.key.entry_id: stored.entry.quarantined for stored in snapshot.quarantined(BANK)}


def test_the_other_hashes_of_the_entry_match(imported: Imported, path: Path) -> None:
    report = imported.load(path)
    assert told(report) == {"added": 1, "quarantined": 2}
    assert [(item.place, item.key) for item in report.quarantined] == [
        ("list.csv, line 2", A),
        ("list.csv, line 2", A),
    ]
    assert "quality 10, below 50" in report.quarantined[0].reason
    assert "too little" in report.quarantined[1].reason
    assert aside(imported) == {"a": (as_hash(LOW), as_hash(FLAT))}
    assert imported.stored()[A].entry.labels == ("x",)
    assert matched(imported) == {FINE, DIGEST}


def test_released_hashes_match_and_stay_released(imported: Imported, path: Path) -> None:
    imported.load(path)
    imported.publish()
    assert imported.apply(Unquarantine(A)).updated == 1
    assert aside(imported) == {}
    # A degenerate query is not searched; so nothing finds the flat hash.
    assert matched(imported) == {FINE, DIGEST, LOW}
    sequence = imported.sequence()
    assert told(imported.load(path)) == {"unchanged": 1, "quarantined": 2}
    assert (imported.sequence(), aside(imported)) == (sequence, {})
    assert imported.apply(Unquarantine(A)).unchanged == 1
    assert matched(imported) == {FINE, DIGEST, LOW}


def test_only_what_was_seen_is_released(imported: Imported, path: Path) -> None:
    imported.load(path)
    imported.apply(Unquarantine(A))
    other = ("pdq256", pdq("another low one"))
    path.write_text(HEAD + row(LOW, quality=10) + row(other, quality=20))
    assert told(imported.load(path)) == {"updated": 1, "quarantined": 2}
    assert aside(imported) == {"a": (as_hash(other),)}
    assert matched(imported) == {LOW}
    assert look_up(imported.view(), [other]) == {}


def test_a_released_hash_that_the_list_dropped_is_quarantined_when_it_comes_back(
    imported: Imported, path: Path
) -> None:
    imported.load(path)
    imported.apply(Unquarantine(A))
    path.write_text(HEAD + row(FINE))
    imported.load(path)
    path.write_text(HEAD + row(FINE) + row(LOW, quality=10))
    imported.load(path)
    assert aside(imported) == {"a": (as_hash(LOW),)}
    assert matched(imported) == {FINE}


def test_an_entry_of_quarantined_hashes_alone(imported: Imported, path: Path) -> None:
    path.write_text(HEAD + row(LOW, quality=49) + row(FLAT, "flat") + row(DIGEST, "digest", quality=0))
    assert told(imported.load(path)) == {"added": 3, "quarantined": 2}
    assert aside(imported) == {"a": (as_hash(LOW),), "flat": (as_hash(FLAT),)}
    assert imported.entry_count() == 3
    assert look_up(imported.view(), ASKED) == {DIGEST: [("digest", "local")]}
    imported.publish()
    assert look_up(imported.view(), ASKED) == {DIGEST: [("digest", "local")]}
    imported.apply(Unquarantine(A))
    assert look_up(imported.view(), [LOW]) == {LOW: [A]}
    imported.publish()
    assert look_up(imported.view(), [LOW]) == {LOW: [A]}


@pytest.mark.parametrize("released", [False, True])
def test_withdrawing_forgets_quarantined_hashes(imported: Imported, path: Path, released: bool) -> None:
    imported.load(path)
    if released:
        imported.apply(Unquarantine(A))
    imported.apply(Withdraw(A))
    (stored,) = imported.stored().values()
    assert (stored.entry.hashes, stored.entry.quarantined, stored.released) == ((), (), frozenset())
    assert aside(imported) == {}
    assert imported.apply(Unquarantine(A)).unchanged == 1
    assert told(imported.load(path)) == {"withheld": 1, "quarantined": 2}
    assert matched(imported) == set()
    # Reinstated, it is as new: kept aside again.
    imported.apply(Reinstate(A))
    imported.load(path)
    assert aside(imported) == {"a": (as_hash(LOW), as_hash(FLAT))}
    assert matched(imported) == {FINE, DIGEST}


def test_removing_forgets_what_was_released(imported: Imported, path: Path) -> None:
    imported.load(path)
    imported.apply(Unquarantine(A), Remove(A))
    imported.load(path)
    assert aside(imported) == {"a": (as_hash(LOW), as_hash(FLAT))}


def test_disabling_keeps_what_is_aside_and_what_is_released(imported: Imported, path: Path) -> None:
    imported.load(path)
    before = imported.stored()
    imported.apply(Disable(A), Enable(A))
    assert imported.stored() == before
    imported.apply(Disable(A), Unquarantine(A))
    assert matched(imported) == set()
    imported.apply(Enable(A))
    assert matched(imported) == {FINE, DIGEST, LOW}


def test_nobody_to_release(imported: Imported) -> None:
    assert imported.apply(Unquarantine(A)).unchanged == 1
    assert imported.stored() == {}


@pytest.mark.parametrize("between", ["xyz,md5,a,,\n", f"{pdq(1)},photodna,a,,\n"], ids=["rejected", "skipped"])
def test_what_stands_between_rows_of_an_entry_parts_it_not(imported: Imported, path: Path, between: str) -> None:
    path.write_text(HEAD + row(LOW, quality=10) + between + row(FINE))
    assert told(imported.load(path))["added"] == 1
    assert aside(imported) == {"a": (as_hash(LOW),)}
    assert matched(imported) == {FINE}
    assert "updated" not in told(imported.load(path))


def test_an_entry_named_again_keeps_its_hashes(imported: Imported, path: Path) -> None:
    """The second naming says the same; nothing of it may replace the first."""
    rows = row(LOW, quality=10) + row(FINE)
    path.write_text(HEAD + rows + row(DIGEST, "b") + rows)
    report = imported.load(path)
    assert (report.counts["added"], sum(report.skipped.values())) == (2, 1)
    assert look_up(imported.view(), ASKED) == {FINE: [A], DIGEST: [("b", "local")]}
    sequence = imported.sequence()
    imported.load(path)
    assert imported.sequence() == sequence


def test_a_quarantined_row_apart_from_its_entry_is_rejected(imported: Imported, path: Path) -> None:
    path.write_text(HEAD + row(LOW, quality=10) + row(DIGEST, "b") + row(FINE))
    report = imported.load(path)
    assert [item.place for item in report.rejected] == ["list.csv, line 4"]
    assert aside(imported) == {"a": (as_hash(LOW),)}


def test_more_quarantined_hashes_than_an_entry_holds_are_rejected(imported: Imported, path: Path) -> None:
    path.write_text(HEAD + "".join(row(("pdq256", pdq(i)), quality=10) for i in range(300)))
    assert told(imported.load(path)) == {"added": 1, "quarantined": 255, "rejected": 45}
    assert len(aside(imported)["a"]) == 255


def test_min_quality_moves_the_line(imported: Imported, path: Path) -> None:
    path.write_text(HEAD + row(LOW, quality=10) + row(("phash64", digits(1, "phash64")), "b", quality=60))
    assert told(imported.load(path, min_quality=10)) == {"added": 2}
    assert told(imported.load(path, min_quality=61)) == {"updated": 2, "quarantined": 2}
    assert look_up(imported.view(), [LOW]) == {}
    assert told(imported.load(path, min_quality=0)) == {"updated": 2}
    assert look_up(imported.view(), [LOW]) == {LOW: [A]}
