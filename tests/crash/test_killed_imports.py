"""An import that is killed at any moment leaves a sound registry, and importing again makes up for it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest

from ..index.imported import BANK, Imported, told
from ..service.running import command, environment
from .numbered import check_lookups, held, write_list

MANY = 210_000
"""More than go into one transaction."""


def start(imported: Imported, path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command("import", BANK, path, "--data", imported.directory.path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Where what a killed one leaves behind goes with the test's folder.
        env=environment() | {"TMPDIR": str(path.parent)},
    )


def kill_imports(tmp_path: Path, kills: int, count: int) -> None:
    rng = np.random.default_rng(kills)
    imported = Imported(tmp_path / "data")
    path = tmp_path / "list.csv"
    numbers = range(count)
    imported.load(write_list(path, numbers, 1))
    write_list(path, numbers, 2)
    started_s = monotonic()
    out, err = start(imported, path).communicate(timeout=100)
    usual_s = monotonic() - started_s
    assert out == f"{path}: 0 added, {count:,} updated, 0 removed, 0 unchanged\n", err
    before = held(imported)
    unfinished = partly = 0
    for version in range(3, kills + 3):
        write_list(path, numbers, version)
        importer = start(imported, path)
        try:
            sleep(rng.uniform(0.2, 1.1) * usual_s)
            acknowledged = imported.sequence()
        finally:
            importer.kill()
            out, err = importer.communicate(timeout=100)
        assert err == ""
        after = held(imported, before.sequence)
        assert after.sequence >= acknowledged
        # What it said to be done is done.
        assert not out or after.sequence == before.sequence + count
        # Whole transactions of the list, from its beginning; the rest as it was.
        done = after.sequence - before.sequence
        np.testing.assert_array_equal(after.numbers, before.numbers)
        np.testing.assert_array_equal(after.versions[:done], version)
        np.testing.assert_array_equal(after.versions[done:], before.versions[done:])
        if not 0 < done < count:
            # The machine may be more or less busy than when the import was timed.
            usual_s *= 0.8 if done else 1.05
        unfinished += done < count
        partly += 0 < done < count
        before = after
        if version % 3 and version != kills + 2:
            continue  # the next one finds a list half imported
        again = {"updated": count - done, "unchanged": done}
        assert told(imported.load(path)) == {name: count for name, count in again.items() if count}
        before = held(imported, after.sequence)
        np.testing.assert_array_equal(before.numbers, numbers)
        np.testing.assert_array_equal(before.versions, version)
    check_lookups(imported, before)
    assert unfinished, "no kill came before the end"
    assert partly or count < MANY, "no kill came between two transactions"


def test_killed_imports(tmp_path: Path) -> None:
    kill_imports(tmp_path, 6, 20_000)


@pytest.mark.long
@pytest.mark.timeout(5400)
def test_a_hundred_killed_imports(tmp_path: Path) -> None:
    kill_imports(tmp_path, 100, MANY)
