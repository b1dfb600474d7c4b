"""Lists of every format through the registry to lookups, compared with a dictionary."""

from __future__ import annotations

from pathlib import Path

import pytest

from nearhash_index.entries import EntryKey
from nearhash_index.errors import InvalidInput
from nearhash_index.formats import ListOptions, read_list
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.importing import import_items, refuse_rejects
from nearhash_index.store import Registry
from nearhash_index.store.changes import Disable, Withdraw

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


def test_a_list_of_several_chunks(tmp_path: Path, imported: Imported) -> None:
    names = [f"{i:06}" for i in range(120_000)]
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
