"""Several lists in one bank: what each source asserts, takes back, and no longer brings."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearhash_index.entries import EntryKey, EntryState
from nearhash_index.importing import ImportReport
from nearhash_index.store.changes import Reinstate, Remove, Withdraw

from .formats import test_ncmec as ncmec
from .formats import test_stopncii as stopncii
from .formats.lists import md5, pdq
from .imported import Imported, look_up, told
from .list_cases import HEAD

SHARED = [("md5", md5(seed)) for seed in "abcdef"]


@pytest.fixture
def imported(tmp_path: Path) -> Imported:
    return Imported(tmp_path / "data")


def write(path: Path, letters: str, source: str) -> Path:
    path.write_text(HEAD + "".join(f"{md5(seed)},md5,{seed},{source},,,\n" for seed in letters))
    return path


def matched(imported: Imported) -> dict[str, str]:
    """Return the sources of the entries of each letter, joined."""
    found = look_up(imported.view(), SHARED)
    return {name[0][0]: "+".join(source for _, source in name) for name in found.values()}


def everywhere(imported: Imported) -> dict[str, str]:
    """Return what matches through the delta, which must be what matches through a build."""
    before = matched(imported)
    imported.publish()
    assert matched(imported) == before
    return before


def remove_absent(imported: Imported, source: str, report: ImportReport) -> list[str]:
    absent = imported.absent(source, report)
    imported.apply(*map(Remove, absent.keys))
    return [key.entry_id for key in absent.keys]


def test_a_hash_stays_while_either_source_asserts_it(tmp_path: Path, imported: Imported) -> None:
    for source in ("x", "y"):
        imported.load(write(tmp_path / "list.csv", "ab", source))
    assert everywhere(imported) == {"a": "x+y", "b": "x+y"}
    imported.apply(Remove(EntryKey("a", "x")), Withdraw(EntryKey("b", "y")))
    assert everywhere(imported) == {"a": "y", "b": "x"}
    imported.apply(Remove(EntryKey("a", "y")), Withdraw(EntryKey("b", "x")))
    assert everywhere(imported) == {}


def test_a_whole_list_removes_what_it_lacks_of_its_source_only(tmp_path: Path, imported: Imported) -> None:
    imported.load(write(tmp_path / "x.csv", "abcd", "x"))
    imported.load(write(tmp_path / "y.csv", "abcd", "y"))
    report = imported.load(write(tmp_path / "x.csv", "ace", "x"))
    absent = imported.absent("x", report)
    assert (absent.keys, absent.share) == ([EntryKey("b", "x"), EntryKey("d", "x")], 2 / 5)
    assert remove_absent(imported, "x", report) == ["b", "d"]
    assert everywhere(imported) == {"a": "x+y", "b": "y", "c": "x+y", "d": "y", "e": "x"}
    assert imported.absent("x", imported.load(tmp_path / "x.csv")).keys == []


def test_a_dry_run_finds_the_same_absent_entries(tmp_path: Path, imported: Imported) -> None:
    imported.load(write(tmp_path / "x.csv", "abcd", "x"))
    path = write(tmp_path / "x.csv", "abcz", "x")
    dry = imported.absent("x", imported.load(path, dry_run=True))
    assert dry.keys == [EntryKey("d", "x")]
    assert dry.keys == imported.absent("x", imported.load(path)).keys


def test_what_is_withdrawn_is_no_absence(tmp_path: Path, imported: Imported) -> None:
    """Else withdrawals, which stay for good, would add up to a share that the guard refuses."""
    imported.load(write(tmp_path / "x.csv", "abcdef", "x"))
    imported.apply(*(Withdraw(EntryKey(name, "x")) for name in "bcdef"))
    absent = imported.absent("x", imported.load(write(tmp_path / "x.csv", "a", "x")))
    assert (absent.keys, absent.share) == ([], 0)
    assert imported.stored()[EntryKey("f", "x")].state == EntryState.WITHDRAWN


def test_what_a_whole_list_removes_or_quarantines_is_no_absence(tmp_path: Path, imported: Imported) -> None:
    imported.load(write(tmp_path / "x.csv", "abc", "x"))
    path = tmp_path / "x.csv"
    path.write_text(f"{HEAD}{md5('a')},md5,a,x,,,\n,,b,x,,,remove\n{'0' * 64},pdq256,c,x,,,\n")
    report = imported.load(path)
    assert imported.absent("x", report).keys == []
    assert told(report) == {"unchanged": 1, "removed": 1, "updated": 1, "quarantined": 1}


def test_stopncii_withdrawal_outlives_an_older_list(tmp_path: Path, imported: Imported) -> None:
    asked = [("pdq256", pdq(seed)) for seed in ("goes", "stays")]
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(stopncii.page(stopncii.record("goes"), stopncii.record("stays")))
    new.write_text(stopncii.page(stopncii.record("goes", "Withdrawn", 1714575601)))
    assert told(imported.load(old)) == {"added": 2}
    imported.publish()
    assert told(imported.load(new)) == {"updated": 1}
    stays = {asked[1]: [(f"ImagePDQ/{pdq('stays')}", "stopncii")]}
    assert look_up(imported.view(), asked) == stays
    # The withdrawn hash is forgotten, not only hidden.
    assert imported.stored()[EntryKey(f"ImagePDQ/{pdq('goes')}", "stopncii")].entry.hashes == ()
    assert told(imported.load(old)) == {"older": 1, "unchanged": 1}
    imported.publish()
    assert look_up(imported.view(), asked) == stays
    imported.apply(Reinstate(EntryKey(f"ImagePDQ/{pdq('goes')}", "stopncii")))
    assert told(imported.load(old)) == {"added": 1, "unchanged": 1}
    assert set(look_up(imported.view(), asked)) == set(asked)


def test_a_withdrawal_before_the_hash_is_known_holds_too(tmp_path: Path, imported: Imported) -> None:
    path = tmp_path / "page.json"
    path.write_text(stopncii.page(stopncii.record("goes", "Deleted")))
    assert told(imported.load(path)) == {"updated": 1}
    path.write_text(stopncii.page(stopncii.record("goes")))
    assert told(imported.load(path)) == {"older": 1}
    assert look_up(imported.view(), [("pdq256", pdq("goes"))]) == {}


def ncmec_page(path: Path, *records: str) -> Path:
    path.write_text(ncmec.page("".join(records)))
    return path


def test_ncmec_pages_imported_one_by_one(tmp_path: Path, imported: Imported) -> None:
    """A later page deletes and updates what an earlier one brought; the earlier one, come again, undoes neither."""
    first = ncmec_page(tmp_path / "1.xml", *(ncmec.record(record_id=name) for name in "abc"))
    fewer = f"<fingerprints><md5>{md5('other')}</md5></fingerprints>"
    second = ncmec_page(
        tmp_path / "2.xml",
        ncmec.record("deletedImage", "a", "2024-06-01T10:00:00Z"),
        ncmec.record(record_id="b", time="2024-06-01T10:00:00Z", fingerprints=fewer),
    )
    asked = [*SHARED, ("md5", md5("other"))]

    def found() -> dict[str, str]:
        of = look_up(imported.view(), asked)
        return {value: names[0][0] for (_, value), names in of.items()}

    assert told(imported.load(first)) == {"added": 3}
    imported.publish()
    assert told(imported.load(second)) == {"updated": 2}
    assert found() == {md5("other"): "42/image/b", md5("c"): "42/image/c"}
    assert told(imported.load(first)) == {"older": 2, "unchanged": 1}
    assert found() == {md5("other"): "42/image/b", md5("c"): "42/image/c"}
    imported.publish()
    assert found() == {md5("other"): "42/image/b", md5("c"): "42/image/c"}


def test_the_same_list_under_two_sources_is_two_assertions(tmp_path: Path, imported: Imported) -> None:
    path = ncmec_page(tmp_path / "1.xml", ncmec.record(record_id="a"))
    assert told(imported.load(path)) == told(imported.load(path, source="tid")) == {"added": 1}
    assert look_up(imported.view(), SHARED) == {SHARED[0]: [("42/image/a", "ncmec"), ("42/image/a", "tid")]}


def test_only_the_members_asked_for(tmp_path: Path, imported: Imported) -> None:
    path = ncmec_page(tmp_path / "1.xml", ncmec.record(record_id="a"), ncmec.record(record_id="b", member="43"))
    report = imported.load(path, members=frozenset({"43"}))
    assert (told(report), report.skipped) == ({"added": 1}, {"record of another member": 1})
    assert set(look_up(imported.view(), SHARED)) == {SHARED[1]}
