"""Lists of every format through the registry to lookups, compared with a dictionary."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path

import pytest

from nearhash_index import importing
from nearhash_index.entries import EntryKey, EntryState
from nearhash_index.errors import InvalidInput
from nearhash_index.formats import ListOptions, read_list
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.importing import import_items, refuse_rejects
from nearhash_index.store import Registry
from nearhash_index.store.changes import Disable, Reinstate, Withdraw

from .formats import test_ncmec as ncmec
from .formats import test_stopncii as stopncii
from .formats.lists import COMPRESSIONS, digits, md5, pdq
from .imported import BANK, Imported, answers_of, look_up, told
from .list_cases import CASES, HEAD, ListCase
from .samples import AUTHOR

EVERY_FORMAT = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
ASKED = [(name, digits(seed, name)) for seed in range(10) for name in HASH_TYPES]
ASKED += [("pdq256", pdq(seed)) for seed in ("gone", "stands", "bad")]
ASKED += [("md5", md5(seed)) for seed in ("gone", "film", "bad", "several")]


@pytest.fixture
def imported(tmp_path: Path) -> Imported:
    return Imported(tmp_path / "data")


@pytest.mark.parametrize("suffix", ["", ".gz"])
@EVERY_FORMAT
def test_every_format_is_looked_up_as_its_list_says(
    tmp_path: Path, imported: Imported, case: ListCase, suffix: str
) -> None:
    report = imported.load(case.write(tmp_path / "list", suffix), **case.options)
    assert told(report) == case.counts
    assert report.skipped == case.skipped
    assert len(report.rejected) == len(case.rejected)
    for rejected, (place, reason) in zip(report.rejected, case.rejected, strict=True):
        assert rejected.place == place.format(suffix)
        assert reason in rejected.reason
    expected = answers_of(case.content)
    assert look_up(imported.view(), ASKED) == expected, "through the delta"
    imported.publish()
    assert imported.view().delta.entries == ()
    assert look_up(imported.view(), ASKED) == expected, "through a build"


@EVERY_FORMAT
def test_importing_again_changes_nothing(tmp_path: Path, imported: Imported, case: ListCase) -> None:
    path = case.write(tmp_path / "list")
    imported.load(path, **case.options)
    sequence, stored = imported.sequence(), imported.stored()
    again = told(imported.load(path, **case.options))
    done = sum(case.counts.get(outcome, 0) for outcome in ("added", "updated", "unchanged"))
    aside = {name: case.counts[name] for name in ("quarantined", "rejected") if name in case.counts}
    assert again == {"unchanged": done, **aside}
    assert (imported.sequence(), imported.stored()) == (sequence, stored)


@EVERY_FORMAT
def test_dry_run_tells_the_same_and_changes_nothing(tmp_path: Path, imported: Imported, case: ListCase) -> None:
    path = case.write(tmp_path / "list")
    sequence = imported.sequence()
    dry = imported.load(path, dry_run=True, **case.options)
    assert (imported.sequence(), imported.stored()) == (sequence, {})
    assert told(dry) == case.counts
    wet = imported.load(path, **case.options)
    assert (wet.counts, wet.rejected, wet.quarantined, wet.skipped) == (
        dry.counts,
        dry.rejected,
        dry.quarantined,
        dry.skipped,
    )
    assert imported.sequence() > sequence


@EVERY_FORMAT
def test_strict_refuses_at_the_first_reject(tmp_path: Path, case: ListCase) -> None:
    items = read_list(case.write(tmp_path / "list"), ListOptions(**case.options))  # type: ignore[arg-type]
    if not case.rejected:
        refuse_rejects(items)
        return
    (place, reason), *_ = case.rejected
    with pytest.raises(InvalidInput, match=reason) as error:
        refuse_rejects(items)
    assert error.value.field == place.format("")


def test_no_message_shows_a_hash(tmp_path: Path, imported: Imported) -> None:
    """Hashes in any column: they might come from a list with its columns swapped."""
    path = tmp_path / "list.csv"
    rows = [["", ""] + [""] * 5 for _ in range(7)]
    for column, row in enumerate(rows):
        row[:2] = [md5(0), "md5"]
        row[column] = pdq(column)
    path.write_text(HEAD + "".join(",".join(row) + "\n" for row in rows))
    report = imported.load(path)
    assert report.counts["rejected"] >= 4
    for rejected in report.rejected:
        assert not any(pdq(seed)[:16] in f"{rejected.place} {rejected.reason}" for seed in range(7))


def csv_list(path: Path, names: list[str], source: str = "local", version: int = 0) -> Path:
    path.write_text(HEAD + "".join(f"{md5((name, version))},md5,{name},{source},,,\n" for name in names))
    return path


def test_counts_of_a_list_that_changes(tmp_path: Path, imported: Imported) -> None:
    path = tmp_path / "list.csv"
    imported.load(csv_list(path, ["a", "b", "c", "d"]))
    imported.apply(Withdraw(EntryKey("d", "local")), Disable(EntryKey("c", "local")))
    rows = f"{md5(('a', 0))},md5,a,,,,\n{md5(9)},md5,b,,,,\n{md5(8)},md5,c,,,,\n{md5(7)},md5,d,,,,\n"
    rows += f"{md5(6)},md5,e,,,,\n{md5(5)},md5,f,,,,\n,,f2,,,,remove\n"
    imported.load(csv_list(tmp_path / "more.csv", ["f2"]))
    path.write_text(HEAD + rows)
    report = imported.load(path)
    assert told(report) == {"added": 2, "updated": 2, "unchanged": 1, "removed": 1, "withheld": 1}
    expected = answers_of(
        {("a", "local"): [("md5", md5(("a", 0)))], ("b", "local"): [("md5", md5(9))]}
        | {("e", "local"): [("md5", md5(6))], ("f", "local"): [("md5", md5(5))]}
    )
    asked = [*expected, *[("md5", md5(seed)) for seed in (("b", 0), ("c", 0), ("d", 0), ("f2", 0), 7, 8)]]
    assert look_up(imported.view(), asked) == expected, "what is disabled stays so, what is withdrawn too"
    assert imported.entry_count() == 5


def test_a_list_of_several_chunks(tmp_path: Path, imported: Imported, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "_CHUNK", 20_000)
    names = [f"{i:06}" for i in range(30_000)]
    path = csv_list(tmp_path / "list.csv", names)
    chunks: list[int] = []
    with Registry(imported.directory) as registry:
        report = import_items(
            read_list(path), lambda changes: registry.apply_checked(BANK, changes, AUTHOR), chunks.append
        )
    assert told(report) == {"added": len(names)}
    assert (sum(chunks), len(chunks) > 1) == (len(names), True)
    assert imported.entry_count() == len(names)
    imported.publish()
    expected = {("md5", md5((name, 0))): [(name, "local")] for name in [*names[::5000], *names[-10:]]}
    assert look_up(imported.view(), expected) == expected
    # Cut off, the list is imported up to its last whole chunk, and said to be cut off.
    whole = COMPRESSIONS[".gz"](csv_list(path, names, source="other").read_bytes())
    (tmp_path / "cut.csv.gz").write_bytes(whole[: len(whole) * 9 // 10])
    with pytest.raises(InvalidInput, match="break off"):
        imported.load(tmp_path / "cut.csv.gz")
    arrived = imported.entry_count() - len(names)
    assert (arrived > 0, arrived % chunks[0]) == (True, 0)
    assert told(imported.load(path)) == {"added": len(names) - arrived, "unchanged": arrived}


# Ranges of a clearing house's records, which may be imported out of order.

DAY_S = 86_400
FIRST_DAY_S = 1_714_557_600


def ncmec_range(folder: Path, day: int, *records: tuple[str, str, str]) -> Path:
    """Write the page of a day: for each record its id, "image" or "deletedImage", and its classification."""
    time = datetime.fromtimestamp(FIRST_DAY_S + day * DAY_S, UTC).isoformat()
    images = "".join(
        ncmec.record(
            kind,
            record_id,
            time,
            f"<fingerprints><md5>{md5((record_id, day))}</md5></fingerprints>",
            more=label and f"<classification>{label}</classification>",
        )
        for record_id, kind, label in records
    )
    path = folder / f"day-{day}.xml"
    path.write_text(ncmec.page(images))
    return path


def test_the_latest_state_of_a_record_counts_in_whatever_order_ranges_are_imported(tmp_path: Path) -> None:
    ranges = [
        ncmec_range(tmp_path, 0, ("changed", "image", "A1"), ("gone", "image", ""), ("back", "image", "A2")),
        ncmec_range(tmp_path, 1, ("changed", "image", "B1"), ("back", "deletedImage", ""), ("new", "image", "")),
        ncmec_range(tmp_path, 2, ("gone", "deletedImage", ""), ("back", "image", "B2"), ("timely", "image", "")),
        ncmec_range(tmp_path, 3, ("changed", "image", "B2")),
    ]
    expected = {"changed": ("B2", 3), "new": ("", 1), "back": ("B2", 2), "timely": ("", 2)}
    for number, order in enumerate(permutations(ranges)):
        imported = Imported(tmp_path / f"data-{number}")
        older = 0
        for path in order:
            report = imported.load(path)
            older += report.counts["older"]
            assert len(report.older) == report.counts["older"]
            assert set(told(report)) <= {"added", "updated", "unchanged", "older"}
        assert older == {tuple(ranges): 0, tuple(ranges[::-1]): 5}.get(order, older)
        assert {
            key.entry_id.removeprefix("42/image/"): (";".join(stored.entry.labels), stored.entry.hashes[0].value.hex())
            for key, stored in imported.stored().items()
            if stored.state == EntryState.ACTIVE
        } == {name: (label, md5((name, day))) for name, (label, day) in expected.items()}
        assert imported.stored()[EntryKey("42/image/gone", "ncmec")].state == EntryState.WITHDRAWN
        # All of it again, in that order, brings nothing back.
        before = imported.stored()
        for path in order:
            assert set(told(imported.load(path))) <= {"unchanged", "older"}
        assert imported.stored() == before


def test_what_is_older_is_told_with_its_place(tmp_path: Path, imported: Imported) -> None:
    old = ncmec_range(tmp_path, 0, ("a", "image", ""), ("b", "image", ""), ("c", "image", ""))
    imported.load(ncmec_range(tmp_path, 1, ("a", "image", ""), ("b", "deletedImage", "")))
    report = imported.load(old)
    assert told(report) == {"added": 1, "older": 2}
    assert report.older == [
        f"day-0.xml, image {i} (member 42, id {record_id})" for i, record_id in ((1, "a"), (2, "b"))
    ]


def test_only_a_person_can_bring_back_what_a_person_withdrew(tmp_path: Path, imported: Imported) -> None:
    key = EntryKey("42/image/a", "ncmec")
    imported.load(ncmec_range(tmp_path, 0, ("a", "image", "")))
    imported.apply(Withdraw(key))
    assert told(imported.load(ncmec_range(tmp_path, 1, ("a", "image", "")))) == {"withheld": 1}
    assert told(imported.load(ncmec_range(tmp_path, 2, ("a", "deletedImage", "")))) == {"unchanged": 1}
    assert told(imported.load(ncmec_range(tmp_path, 3, ("a", "image", "")))) == {"withheld": 1}
    imported.apply(Reinstate(key))
    assert told(imported.load(ncmec_range(tmp_path, 3, ("a", "image", "")))) == {"added": 1}


def test_a_list_without_times_brings_nothing_withdrawn_back_and_else_counts_as_the_last_word(
    tmp_path: Path, imported: Imported
) -> None:
    imported.load(ncmec_range(tmp_path, 1, ("a", "image", ""), ("b", "deletedImage", "")))
    path = csv_list(tmp_path / "list.csv", ["42/image/a", "42/image/b"], "ncmec")
    assert told(imported.load(path)) == {"updated": 1, "withheld": 1}
    assert told(imported.load(ncmec_range(tmp_path, 0, ("a", "image", ""), ("b", "image", "")))) == {"older": 2}


def test_a_second_case_brings_a_withdrawn_hash_back_and_an_old_page_does_not(
    tmp_path: Path, imported: Imported
) -> None:
    first, second = "a2696edf-1237-4eb8-a9c1-cd8ee6c055e5", "9fbb73d7-c177-4ed2-b4e8-0050b72decd0"
    pages = [
        stopncii.record("x", "Active", 1000, caseNumbers={first: "Active"}),
        stopncii.record("x", "Withdrawn", 2000, caseNumbers={first: "Withdrawn"}),
        stopncii.record("x", "Active", 3000, caseNumbers={first: "Withdrawn", second: "Active"}),
        stopncii.record("x", "Withdrawn", 4000, caseNumbers={first: "Withdrawn", second: "Withdrawn"}),
    ]

    def load(number: int) -> dict[str, int]:
        path = tmp_path / "page.json"
        path.write_text(stopncii.page(pages[number]))
        return told(imported.load(path))

    def found() -> bool:
        return bool(look_up(imported.view(), [("pdq256", pdq("x"))]))

    steps = [(0, "added", True), (1, "updated", False), (0, "older", False), (2, "added", True), (1, "older", True)]
    for number, outcome, matched in [*steps, (3, "updated", False), (2, "older", False), (0, "older", False)]:
        assert (load(number), found()) == ({outcome: 1}, matched), number
