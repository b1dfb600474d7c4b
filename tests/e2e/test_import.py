"""`nearhash import` and `nearhash quarantine` as an operator uses them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from nearhash_index.entries import EntryKey
from nearhash_index.hash_types import HashType

from ..index.formats import test_ncmec as ncmec
from ..index.formats.lists import COMPRESSIONS, md5, pdq
from ..index.imported import BANK, Imported, answers_of, look_up
from ..index.list_cases import CASES, CSV, HEAD, ListCase
from ..service.running import connected, eventually, serving
from .commands import bracketed, failed_here, ok, ok_here, run, run_here

ASKED = [("md5", md5(seed)) for seed in "abcdefghij"]
HASH = re.compile(r"[0-9A-Fa-f]{16,}")


@pytest.fixture
def imported(tmp_path: Path) -> Imported:
    return Imported(tmp_path / "data")


@pytest.fixture
def where(imported: Imported) -> list[object]:
    return ["--data", imported.directory.path]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Imported]]:
    """The address of a server, and its data directory."""
    folder = tmp_path_factory.mktemp("served")
    imported = Imported(folder / "data")
    with serving(folder, imported.directory.path) as running:
        yield running.address, imported


def write(path: Path, names: str, source: str = "") -> Path:
    path.write_text(HEAD + "".join(f"{md5(name)},md5,{name},{source},,,\n" for name in names))
    return path


def names(imported: Imported) -> str:
    """Return the ids of the entries that match, joined; each is named like its hash's seed."""
    return "".join(entry_id for (entry_id, _), *_ in look_up(imported.view(), ASKED).values())


def options_of(case: ListCase) -> list[str]:
    """Return a case's options as the command takes them."""
    return [
        word
        for name, value in case.options.items()
        for word in (f"--{name.replace('_', '-')}", value.name if isinstance(value, HashType) else str(value))
    ]


def summary_of(path: Path, case: ListCase) -> str:
    told = [f"{case.counts.get(outcome, 0)} {outcome}" for outcome in ("added", "updated", "removed", "unchanged")]
    told += [f"{case.counts[name]} {name}" for name in ("quarantined", "rejected") if name in case.counts]
    told += [f"{count} skipped ({what})" for what, count in case.skipped.items()]
    return f"{path}: {', '.join(told)}\n"


def check_report(case: ListCase, path: Path, suffix: str, where: list[object]) -> None:
    """Import a case's list, and check everything that is told."""
    done = run_here("import", BANK, path, *options_of(case), *where)
    assert done.stdout == summary_of(path, case)
    assert done.returncode == (1 if case.rejected else 0)
    told = done.stderr.splitlines()
    assert not HASH.search(done.stderr)
    for line, (place, reason) in zip(told, case.rejected, strict=False):
        assert line.startswith(f"rejected: {place.format(suffix)}: ")
        assert reason in line
    rest = told[len(case.rejected) :]
    assert len(rest) == case.counts.get("quarantined", 0)
    assert all(line.startswith("quarantined: ") for line in rest)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_format(tmp_path: Path, imported: Imported, where: list[object], case: ListCase) -> None:
    check_report(case, case.write(tmp_path / "list", ".gz"), ".gz", where)
    expected = answers_of(case.content)
    assert look_up(imported.view(), expected) == expected


def test_through_a_server(tmp_path: Path, served: tuple[str, Imported]) -> None:
    address, imported = served
    where = ["--target", address]
    path = CSV.write(tmp_path / "list")
    dry = run_here("import", BANK, path, "--dry-run", *where)
    assert dry.stdout == summary_of(path, CSV).replace(f"{path}:", f"{path}, dry run:")
    assert imported.stored() == {}
    check_report(CSV, path, "", where)
    expected = answers_of(CSV.content)
    assert look_up(imported.view(), expected) == expected
    refused = failed_here("import", BANK, path, "--full", "--source", "local", *where)
    assert "--full: needs --source, whose whole list this is, and --data" in refused
    assert "c  " in ok_here("quarantine", "list", BANK, *where)
    released = ok_here("quarantine", "release", BANK, "c", *where)
    assert re.fullmatch(r"c: released, sequence \d+\n", released)
    # And the server itself matches it.
    with connected(address) as stubs:
        query = bytes.fromhex(pdq(3))
        eventually(
            lambda: [m.entry_id for m in stubs.lookup(hash_type="HASH_TYPE_PDQ256", hashes=query).matches] == ["c"]
        )


def test_what_is_older_is_told_with_its_place(tmp_path: Path, served: tuple[str, Imported]) -> None:
    address, _ = served
    path = tmp_path / "page.xml"
    for time, expected in (("2024-05-02T10:00:00Z", "2 added"), ("2024-05-01T10:00:00Z", "0 added")):
        path.write_text(ncmec.page(ncmec.record(record_id="[a]", time=time), ncmec.record("video", "b", time)))
        done = run_here("import", BANK, path, "--source", "old", "--target", address)
        assert done.stdout.startswith(f"{path}: {expected}, 0 updated, 0 removed, 0 unchanged")
    assert done.stdout.endswith("unchanged, 2 older\n")
    assert done.stderr.splitlines() == [
        f"older: page.xml, {which}): a later state is known, and stays"
        for which in ("image 1 (member 42, id [a]", "video 1 (member 42, id b")
    ]
    assert done.returncode == 0


def test_dry_run(tmp_path: Path, imported: Imported, where: list[object]) -> None:
    imported.load(write(tmp_path / "list.csv", "abc"))
    sequence, stored = imported.sequence(), imported.stored()
    path = write(tmp_path / "list.csv", "bcdefg")
    options = ["--full", "--source", "local", "--max-removed-share", 0.9]
    told = ok_here("import", BANK, path, "--dry-run", *options, *where)
    assert told == f"{path}, dry run: 4 added, 0 updated, 1 removed, 2 unchanged\n"
    assert (imported.sequence(), imported.stored()) == (sequence, stored)
    assert ok_here("import", BANK, path, *options, *where) == told.replace(", dry run", "")
    assert names(imported) == "bcdefg"


def test_strict_imports_nothing_of_a_list_with_a_reject(
    tmp_path: Path, imported: Imported, where: list[object]
) -> None:
    path = write(tmp_path / "list.csv", "abc")
    path.write_text(path.read_text() + "xyz,md5,d,,,,\n")
    error = failed_here("import", BANK, path, "--strict", *where)
    assert error.startswith("error: list.csv, line 5: hash: 3 characters; a md5 hash has 32")
    assert imported.stored() == {}
    done = run_here("import", BANK, path, *where)
    assert (done.returncode, names(imported)) == (1, "abc")
    assert "1 added, 0 updated, 0 removed, 3 unchanged" in ok_here(
        "import", BANK, write(path, "abcd"), "--strict", *where
    )


def test_whole_list(tmp_path: Path, imported: Imported, where: list[object]) -> None:
    imported.load(write(tmp_path / "other.csv", "j", "other"))
    imported.load(write(tmp_path / "list.csv", "abc"))
    path = write(tmp_path / "list.csv", "bc")
    whole = ["import", BANK, path, "--full", "--source", "local", *where]
    done = run_here(*whole)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    # What it did is told all the same.
    assert done.stdout == f"{path}: 0 added, 0 updated, 0 removed, 2 unchanged\n"
    assert "the list lacks 1 entries of local, 33.3% of all; not removed" in done.stderr
    assert names(imported) == "abcj"
    # The share that it names is enough, though a third has more digits.
    share = re.search(r"say (--max-removed-share) (\S+) or more", done.stderr)
    assert share
    assert ok_here(*whole, *share.groups()) == f"{path}: 0 added, 0 updated, 1 removed, 2 unchanged\n"
    assert names(imported) == "bcj"


def test_a_whole_list_with_a_reject_removes_nothing(tmp_path: Path, imported: Imported, where: list[object]) -> None:
    imported.load(write(tmp_path / "list.csv", "abcdefghij"))
    path = write(tmp_path / "list.csv", "abcdefghi")
    path.write_text(path.read_text() + "broken,md5,j,,,,\n")
    done = run_here("import", BANK, path, "--full", "--source", "local", *where)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "rejected: list.csv, line 11: hash: 6 characters" in done.stderr
    assert "what is rejected may be what seems absent; nothing is removed" in done.stderr
    assert names(imported) == "abcdefghij"


def test_source_member_and_quality(tmp_path: Path, imported: Imported, where: list[object]) -> None:
    path = tmp_path / "page.xml"
    path.write_text(ncmec.page(ncmec.record(record_id="a") + ncmec.record(record_id="b", member="43")))
    only = ["--member", "Member 43", "--member", "44", "--source", "tid"]
    told = ok_here("import", BANK, path, *only, *where)
    assert told.endswith("1 added, 0 updated, 0 removed, 0 unchanged, 1 skipped (record of another member)\n")
    assert list(imported.stored()) == [EntryKey("43/image/b", "tid")]
    path = tmp_path / "list.csv"
    path.write_text(f"hash,hash_type,quality\n{pdq(1)},pdq256,60\n{pdq(2)},pdq256,80\n")
    done = run_here("import", BANK, path, "--min-quality", 70, *where)
    assert (done.returncode, done.stderr) == (
        0,
        "quarantined: list.csv, line 2: this pdq256 hash has quality 60, below 70\n",
    )
    assert set(look_up(imported.view(), [("pdq256", pdq(1)), ("pdq256", pdq(2))])) == {("pdq256", pdq(2))}
    path.write_text(f"{md5(3)}\n")
    assert "1 added" in ok_here("import", BANK, path, "--format", "threatexchange", "--hash-type", "md5", *where)


def test_quarantine(tmp_path: Path, imported: Imported, where: list[object]) -> None:
    path = tmp_path / "list.csv"
    head = "hash,hash_type,entry_id,labels,quality\n"
    path.write_text(f"{head}{pdq(1)},pdq256,a,x;[/y],10\n{md5('a')},md5,a,,\n{'0' * 16},phash64,b,,\n")
    done = run_here("import", BANK, path, *where)
    assert (done.returncode, done.stderr.count("quarantined: list.csv, line ")) == (0, 2)
    listed = [line.split(maxsplit=4) for line in ok_here("quarantine", "list", BANK, *where).splitlines()]
    assert ["a", "local", "x;[/y]", "pdq256"] in [line[:4] for line in listed]
    assert any(line[:3] == ["b", "local", "phash64"] and "too little" in line[-1] for line in listed)
    first = ok_here("quarantine", "list", BANK, "--limit", 1, *where)
    assert [line.split()[0] for line in first.splitlines() if "local" in line] == ["a"]
    assert ok_here("quarantine", "release", BANK, "a", "--reason", "reviewed", *where).startswith(
        "a: released, sequence "
    )
    assert "pdq256" not in ok_here("quarantine", "list", BANK, *where)
    assert set(look_up(imported.view(), [("pdq256", pdq(1))])) == {("pdq256", pdq(1))}
    assert ok_here("quarantine", "release", BANK, "a", *where) == "a: there is nothing to change\n"
    assert "there is no bank 'nobody'" in failed_here("quarantine", "list", "nobody", *where)


BAD = {
    "empty": (b"", [], "empty"),
    "binary": (b"\x89PNG\xff\0", [], "not a text file"),
    "another format than said": (b"nothing here", ["--format", "ncmec"], "list"),
    "unknown format": (b"", ["--format", "xls"], "'xls'; use one of csv, tsv, hex"),
    "damaged gz": (COMPRESSIONS[".gz"](b"hash,hash_type\n" * 99)[:-9], [], "the compressed data break off"),
    "entity bomb": (b"<!DOCTYPE q [<!ENTITY a 'a'>]><queryResult>&a;</queryResult>", [], "list"),
    "quality out of range": (b"", ["--min-quality", 101], "min_quality: 101; use 0 to 100"),
    "source of no name": (b"", ["--source", "a b"], "'a b' is no name"),
    "hash in the header": (f"hash,{md5(1)}\n{md5(1)},md5\n".encode(), ["--format", "csv"], "unknown column '…'"),
}


@pytest.mark.parametrize(("content", "options", "told"), BAD.values(), ids=BAD)
def test_what_is_no_list_is_refused_in_a_line(
    tmp_path: Path, imported: Imported, where: list[object], content: bytes, options: list[object], told: str
) -> None:
    path = bracketed(tmp_path, "list")
    path.write_bytes(content)
    sequence = imported.sequence()
    error = failed_here("import", BANK, path, *options, *where)
    assert told in error
    assert not HASH.search(error)
    assert imported.sequence() == sequence


def test_a_file_whose_name_is_not_text(tmp_path: Path, imported: Imported, where: list[object]) -> None:
    path = tmp_path / os.fsdecode(b"list-\xff.csv")
    write(path, "a")
    shown = path.with_name("list-\N{REPLACEMENT CHARACTER}.csv")
    assert ok("import", BANK, path, *where) == f"{shown}: 1 added, 0 updated, 0 removed, 0 unchanged\n"
    path.write_text(HEAD + "xyz,md5,,,,,\n")
    done = run("import", BANK, path, *where)
    assert (done.returncode, "line 2: hash: 3 characters" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr
    assert names(imported) == "a"
