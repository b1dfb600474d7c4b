"""Several processes at one data directory: two imports into one bank, and an import under a server."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import numpy as np

from nearhash.v1 import lookup_pb2

from ..index.imported import Imported
from ..service.running import Stubs, connected, eventually, serving
from .numbered import check_lookups, held, write_list
from .test_killed_imports import start

COUNT = 110_000


def test_two_imports_into_one_bank(tmp_path: Path) -> None:
    imported = Imported(tmp_path / "data")
    base = imported.sequence()
    lists = {1: range(COUNT), 2: range(COUNT // 2, COUNT * 3 // 2)}
    importers = [start(imported, write_list(tmp_path / f"{v}.csv", numbers, v)) for v, numbers in lists.items()]
    added = changed = 0
    for importer in importers:
        out, err = importer.communicate(timeout=100)
        assert (importer.returncode, err) == (0, "")
        counts = re.search(r"csv: (\S+) added, (\S+) updated, 0 removed, 0 unchanged$", out)
        assert counts, out
        numbers = [int(count.replace(",", "")) for count in counts.groups()]
        assert sum(numbers) == COUNT
        added += numbers[0]
        changed += sum(numbers)
    after = held(imported)
    assert (added, changed) == (COUNT * 3 // 2, 2 * COUNT)
    assert after.sequence == base + changed
    np.testing.assert_array_equal(after.numbers, range(COUNT * 3 // 2))
    # Where both lists speak of an entry, whoever came last; elsewhere the one that does.
    assert set(after.versions[: COUNT // 2]) == {1}
    assert set(after.versions[COUNT // 2 : COUNT]) <= {1, 2}
    assert set(after.versions[COUNT:]) == {2}
    check_lookups(imported, after)


class Lookups:
    """Looks two hashes up without pause until stopped; remembers each answer's sequence, ids and versions."""

    def __init__(self, stubs: Stubs, hashes: list[bytes]) -> None:
        self.answers: list[tuple[int, list[tuple[int, str]]]] = []
        self.failed: list[Exception] = []
        self._stubs, self._hashes = stubs, hashes
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Lookups:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                response = self._stubs.lookup(hash_type=lookup_pb2.HASH_TYPE_MD5, hashes=b"".join(self._hashes))
            except Exception as error:  # noqa: BLE001 - none may come
                self.failed.append(error)
                return
            self.answers.append((response.sequence, [(match.query, match.entry_id) for match in response.matches]))


def test_lookups_go_on_while_lists_are_imported(tmp_path: Path) -> None:
    imported = Imported(tmp_path / "data")
    numbers = range(20_000)
    imported.load(write_list(tmp_path / "list.csv", numbers, 1))
    imported.publish()
    first = imported.sequence()
    # The same entry's old and new hash: each answer has the one or the other, never both or none.
    hashes = [bytes.fromhex(f"{version:016x}{numbers[-1]:016x}") for version in (1, 2)]
    with serving(tmp_path / "server", imported.directory.path) as running, connected(running.address) as stubs:
        with Lookups(stubs, hashes) as lookups:
            eventually(lambda: lookups.answers, seen=lookups.failed)
            out, err = start(imported, write_list(tmp_path / "list.csv", numbers, 2)).communicate(timeout=100)
            assert out.endswith("csv: 0 added, 20,000 updated, 0 removed, 0 unchanged\n"), err
            last = imported.sequence()
            eventually(lambda: lookups.failed or lookups.answers[-1][0] == last)
        assert lookups.failed == []
        assert last == first + len(numbers)
        for sequence, matches in lookups.answers:
            assert matches == [(0 if sequence < last else 1, f"{numbers[-1]:07}")]
        assert {sequence for sequence, _ in lookups.answers} == {first, last}
        assert stubs.status().sequence == last
