"""What an operator does to a data directory, in stages; run in a process of its own, whose disk fails when told.

    python stages.py DATA

It reads lines `stage at error tear`, and does each stage in a fork. It says `done SEQUENCE GENERATION` whenever
something is acknowledged, `refused ERROR` when the disk failed; then it does the stage again on one that works.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from nearhash_index import importing
from nearhash_index.entries import EntryKey
from nearhash_index.errors import AlreadyExists, RegistryLost, StorageFailed
from nearhash_index.formats import read_list
from nearhash_index.store import Current, DataDirectory, Registry, publish
from nearhash_index.store.changes import Author, Change, ChangeCounts, Disable, Withdraw

if __name__ == "__main__":
    import failing_disk
else:
    from . import failing_disk

BANK = "bank"
ROWS = 250
KEPT = 1
AUTHOR = Author("a child")
_CHUNK = 100
"""Changes of one transaction, so that an import takes several."""


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def create(data: Path) -> None:
    with Registry(DataDirectory.create(data)) as registry, suppress(AlreadyExists):
        registry.create_bank(BANK, {}, author=AUTHOR)
    say("done", 1, 0)


def import_list(data: Path, version: int) -> None:
    """Import version `version` of the list: the same entries, each with a hash that tells the version."""
    path = data.parent / f"{version}.csv"
    rows = "".join(f"{version:016x}{number:016x},md5,{number:04}\n" for number in range(ROWS))
    path.write_text("hash,hash_type,entry_id\n" + rows)
    with Registry(DataDirectory(data)) as registry:

        def apply(changes: list[Change]) -> ChangeCounts:
            counts = registry.apply_checked(BANK, changes, AUTHOR)
            say("done", counts.sequence, 0)
            return counts

        importing.import_items(read_list(path), apply, lambda _: None)


def publish_all(data: Path) -> None:
    manifest = publish(data, KEPT)
    say("done", manifest.sequence, manifest.number)


def change_entries(data: Path) -> None:
    with Registry(DataDirectory(data)) as registry:
        for change in (Withdraw(EntryKey("0007", "local")), Disable(EntryKey("0008", "local"), 2**32 - 1)):
            say("done", registry.apply(BANK, [change], AUTHOR).sequence, 0)


def choose(data: Path, *, pinned: bool) -> None:
    """Roll back to the oldest generation, or release."""
    directory = DataDirectory(data)
    with directory.publish_lock():
        number = directory.served_generation_numbers()[-1 if pinned else 0]
        directory.set_current(Current(number, pinned=pinned))
    say("done", 0, number)


STAGES: dict[str, Callable[[Path], None]] = {
    "create": create,
    "import": lambda data: import_list(data, 1),
    "publish": publish_all,
    "import again": lambda data: import_list(data, 2),
    "publish again": publish_all,
    "change entries": change_entries,
    "publish and retire": publish_all,
    "roll back": lambda data: choose(data, pinned=True),
    "release": lambda data: choose(data, pinned=False),
}


def run(stage: str, data: Path, at: int, error: int, *, tear: bool) -> None:
    """Do a stage on a failing disk; if the disk failed and did not kill, do it again on one that works."""
    failing_disk.fail(data, at, error, tear=tear)
    try:
        STAGES[stage](data)
        say("steps", failing_disk.steps())
    except (StorageFailed, RegistryLost) as refused:
        failing_disk.work_again()
        say("refused", type(refused).__name__, str(refused).replace("\n", " "))
        STAGES[stage](data)
    except Exception as unforeseen:  # noqa: BLE001 - the test fails then
        say("unforeseen", repr(unforeseen))


def serve_forks(data: Path) -> None:
    importing._CHUNK = _CHUNK
    failing_disk.work_again()
    # Once here, so that no fork loads the kernels anew.
    for name in ("create", "import", "publish"):
        STAGES[name](data.parent / "warm")
    say("ready")
    for line in sys.stdin:
        stage, at, error, tear = line.rstrip("\n").split(",")
        child = os.fork()
        if not child:
            run(stage, data, int(at), int(error), tear=tear == "True")
            os._exit(0)
        _, status = os.waitpid(child, 0)
        say("ended", os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    serve_forks(Path(sys.argv[1]))
