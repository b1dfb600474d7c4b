"""Commands that change entries and banks, as an operator uses them: through a server, and on a data directory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from nearhash_index.entries import Entry, EntryKey, Hash
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import DataDirectory, Registry, publish
from nearhash_index.store.changes import Upsert

from ..service.running import eventually, serving
from ..service.sample import AUTHOR
from .commands import bracketed, failed_here, ok_here, run_here

FIRST, SECOND = "c2924c5532bddfc8", "1f0e3dad99908345"
KEY = ["reviewed", "case [/1]", "--source", "ncmec"]


@pytest.fixture
def csv(tmp_path) -> Path:
    path = tmp_path / "list.csv"
    rows = f"{FIRST},phash64,case [/1],ncmec\n{SECOND},phash64,case-2,local\n"
    path.write_text(f"hash,hash_type,entry_id,source\n{rows}")
    return path


@pytest.fixture
def data(tmp_path) -> list[object]:
    """A published data directory with two entries, as options."""
    directory = DataDirectory.create(tmp_path / "data")
    entries = [
        Entry(EntryKey(entry_id, source), (Hash(HASH_TYPES["phash64"], bytes.fromhex(value)),))
        for entry_id, source, value in (("case [/1]", "ncmec", FIRST), ("case-2", "local", SECOND))
    ]
    with Registry(directory) as registry:
        registry.create_bank("reviewed", {}, author=AUTHOR)
        registry.apply("reviewed", list(map(Upsert, entries)), AUTHOR)
    publish(directory.path)
    return ["--data", directory.path]


@pytest.fixture
def where(tmp_path, data) -> Iterator[list[object]]:
    """A server of it, as options."""
    with serving(tmp_path / "server", data[1]) as running:
        yield ["--target", running.address]


def found(where: list[object], value: str = FIRST) -> list[str]:
    return [match["entry_id"] for match in json.loads(ok_here("lookup", "--json", value, *where))["matches"]]


def finds(where: list[object], expected: list[str]) -> None:
    """Check what a lookup finds, within the second that a server may take."""
    eventually(lambda: found(where) == expected)


def records(where: list[object], *options: object) -> list[dict[str, object]]:
    return [json.loads(line) for line in ok_here("audit", "--json", *options, *where).splitlines()]


def actions(records: list[dict]) -> list[str]:
    return [record["action"] for record in records]


def test_changes_of_a_data_directory_without_a_server(data):
    assert ok_here("withdraw", *KEY, *data) == "case [/1]: withdrawn, sequence 4\n"
    assert found(data) == []
    assert found(data, SECOND) == ["case-2"]
    ok_here("publish", *data)
    ok_here("rollback", *data)
    assert found(data) == []
    assert ok_here("release", *data).startswith("released; serving generation 2: 1 entries")
    publishing = ["release to generation 2", "roll back to generation 1", "publish generation 2"]
    assert actions(records(data)) == [*publishing, "withdraw", "upsert", "create bank"]


def test_a_withdrawn_entry_comes_back_by_nothing_but_a_reinstatement(where, csv):
    told = ok_here("withdraw", *KEY, "--reason", "taken [back]", *where)
    assert told == "case [/1]: withdrawn, sequence 4\n"
    finds(where, [])
    assert ok_here("withdraw", *KEY, *where) == "case [/1]: there is nothing to change\n"
    assert (
        ok_here("import", "reviewed", csv, *where) == f"{csv}: 0 added, 0 updated, 0 removed, 1 unchanged, 1 withheld\n"
    )
    assert found(where) == []
    ok_here("rollback", 1, *where)
    assert found(where) == []
    ok_here("release", *where)
    assert ok_here("reinstate", *KEY, "--reason", "a mistake", *where) == "case [/1]: reinstated, sequence 5\n"
    assert "1 added" in ok_here("import", "reviewed", csv, *where)
    finds(where, ["case [/1]"])
    table = ok_here("audit", *where)
    lines = [line for line in table.splitlines() if "reviewed" in line]
    assert [
        word in line for line, word in zip(lines, ["upsert", "reinstate", "withdraw", "upsert", "create"], strict=True)
    ] == [True] * 5
    assert "taken [back]" in lines[2]
    assert FIRST not in table
    told = records(where)
    publishing = ["release to generation 1", "roll back to generation 1"]
    before = ["withdraw", "upsert", "create bank"]
    assert actions(told) == ["upsert", "reinstate", *publishing, *before]
    assert (told[4]["author"]["reason"], told[0]["author"]["reason"]) == ("taken [back]", "import list.csv")
    assert "@" in told[4]["author"]["actor"]
    assert records(where, "--limit", 2) == told[:2]


def test_an_entry_is_shown(data):
    ok_here("disable", *KEY, "--until", "2099-01-31 12:00:00", *data)
    header, _, row, _, served = ok_here("show", *KEY[:2], *data).strip().splitlines()
    assert header.split()[:7] == ["source", "state", "matched", "hashes", "quarantined", "labels", "quality"]
    assert header.split()[7:] == ["added", "changed", "stated"]
    assert re.split(r" {2,}", row.strip())[:4] == ["ncmec", f"disabled until {local('2099-01-31')}", "no", "1 phash64"]
    assert served == "matched or not by a worker that serves generation 1, sequence 4"
    assert FIRST not in row
    assert " yes " in ok_here("show", "reviewed", "case-2", *data)
    assert "there is no entry 'case' in bank 'reviewed'" in failed_here("show", "reviewed", "case", *data)


def local(day: str) -> str:
    return datetime.fromisoformat(f"{day} 12:00:00").astimezone().strftime("%Y-%m-%d %H:%M:%S %z")


def test_a_removed_entry_can_be_imported_again(where, csv):
    assert ok_here("remove", *KEY, *where) == "case [/1]: removed, sequence 4\n"
    finds(where, [])
    assert ok_here("remove", *KEY, *where) == "case [/1]: there is nothing to change\n"
    assert ok_here("import", "reviewed", csv, *where) == f"{csv}: 1 added, 0 updated, 0 removed, 1 unchanged\n"
    finds(where, ["case [/1]"])


def test_a_disabled_entry_matches_again_when_it_is_enabled_or_its_time_has_come(where):
    assert ok_here("disable", *KEY, *where) == "case [/1]: disabled, sequence 4\n"
    finds(where, [])
    assert ok_here("enable", *KEY, *where) == "case [/1]: enabled, sequence 5\n"
    finds(where, ["case [/1]"])
    assert ok_here("enable", *KEY, *where) == "case [/1]: there is nothing to change\n"
    until = datetime.now() + timedelta(seconds=3)
    ok_here("disable", *KEY, "--until", until.strftime("%Y-%m-%d %H:%M:%S"), *where)
    finds(where, [])
    assert datetime.now() < until, "too slow to see it disabled"
    finds(where, ["case [/1]"])
    assert datetime.now() >= until.replace(microsecond=0)


def test_a_banks_radius_and_state_change_at_once(where):
    near = FIRST[:-1] + "9"
    assert found(where, near) == ["case [/1]"]
    (line,) = [
        row for row in ok_here("bank", "update", "reviewed", "--radius", "phash64=0", *where).splitlines() if "=" in row
    ]
    assert line.split()[:4] == ["reviewed", "2", "enabled", "phash64=0"]
    eventually(lambda: found(where, near) == [])
    assert found(where) == ["case [/1]"]
    assert "disabled" in ok_here("bank", "update", "reviewed", "--disable", "--reason", "paused", *where)
    finds(where, [])
    eventually(lambda: "is disabled" in failed_here("lookup", FIRST, "--bank", "reviewed", *where))
    told = ok_here("bank", "update", "reviewed", "--enable", "--label", "a", "--label", "[b]", *where)
    assert "enabled" in told
    assert " a;[b]" in told
    finds(where, ["case [/1]"])
    assert [r["author"].get("reason", "") for r in records(where, "--limit", 3)] == ["", "paused", ""]


def test_an_allowed_hash_has_no_matches(where, tmp_path):
    path = tmp_path / "fine.csv"
    path.write_text(f"hash,hash_type,entry_id\n{FIRST},phash64,known\n")
    ok_here("bank", "create", "fine", "--allowlist", *where)
    listed = [line.split()[2:4] for line in ok_here("bank", "list", *where).splitlines() if "fine" in line]
    assert listed == [["allowlist,", "enabled"]]
    ok_here("import", "fine", path, *where)
    finds(where, [])
    assert found(where, SECOND) == ["case-2"]
    assert "allowlist" not in ok_here("bank", "update", "fine", "--no-allowlist", *where)
    finds(where, ["known", "case [/1]"])


def test_a_publish_can_be_tried_out(where):
    ok_here("remove", *KEY, *where)
    told = ok_here("publish", "--dry-run", *where)
    assert [line.split() for line in told.splitlines() if "reviewed" in line] == [["reviewed", "0", "0", "1"]]
    assert "2 (current)" not in ok_here("status", *where)
    assert ok_here("publish", *where).startswith("published generation 2: 1 entries")


def test_quarantined_hashes_are_listed_and_released(where, tmp_path):
    path = bracketed(tmp_path, "flat.csv")
    path.write_text(f"hash,hash_type,entry_id\n{'0' * 16},phash64,flat\n")
    assert told_aside("import", "reviewed", path, *where).startswith(f"{path}: 1 added")
    listed = ok_here("quarantine", "list", "reviewed", *where)
    assert [line.split()[:3] for line in listed.splitlines() if "flat" in line] == [["flat", "local", "phash64"]]
    assert "says too little about its image" in listed
    assert ok_here("quarantine", "release", "reviewed", "flat", *where).startswith("flat: released, sequence ")
    assert "flat" not in ok_here("quarantine", "list", "reviewed", *where)


def told_aside(*arguments: object) -> str:
    """Return what a command says that also reports what it kept aside."""
    done = run_here(*arguments)
    assert done.returncode == 0, done
    assert done.stderr.startswith("quarantined: ")
    return done.stdout


REFUSED = {
    "withdraw from no bank": (["withdraw", "nobody", "a"], "there is no bank 'nobody'"),
    "withdraw without a name": (["withdraw", "reviewed", ""], "entry_id: 0 bytes of UTF-8"),
    "source": (["remove", "reviewed", "a", "--source", "a b"], "'a b' is no name"),
    "reason": (["withdraw", "reviewed", "a", "--reason", "x" * 501], "reason: use at most 500 printable characters"),
    "time before 1970": (["disable", "reviewed", "a", "--until", "1960-01-01"], "until: -315"),
    "update of no bank": (["bank", "update", "nobody"], "there is no bank 'nobody'"),
    "radius": (["bank", "update", "reviewed", "--radius", "md5=129"], "129 is out of range for md5"),
    "label": (["bank", "update", "reviewed", "--label", "a;b"], "labels: 'a;b' is no label"),
    "audit": (["audit", "--limit", "10001"], "limit: 10001 is too many; use 0 to 10000"),
    "quarantine of no bank": (["quarantine", "list", "nobody"], "there is no bank 'nobody'"),
}


@pytest.fixture(scope="module")
def refusing(tmp_path_factory) -> list[object]:
    where = ["--data", tmp_path_factory.mktemp("refusing") / "data"]
    ok_here("bank", "create", "reviewed", *where)
    return where


@pytest.mark.parametrize(("arguments", "told"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_change_is_refused_in_one_line(refusing, arguments, told):
    assert told in failed_here(*arguments, *refusing)
    assert len(records(refusing)) == 1


def test_releasing_what_was_never_published_is_refused(refusing):
    assert "nothing is published yet" in failed_here("release", *refusing)
