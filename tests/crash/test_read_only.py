"""A disk that turns read-only under a server, and one that is so when a server starts."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from nearhash.v1 import banks_pb2

from ..index.imported import BANK, Imported
from ..service.calls import apply, audit, banks, change, create, generations, rollback, update, upsert
from ..service.running import Stubs, command, connected, environment, eventually
from ..service.violations import refusal
from . import failing_disk
from .numbered import write_list

ENTRIES = range(50)
QUERY = bytes.fromhex(f"{1:016x}{7:016x}")
LOOKUP = {"hash_type": 6, "hashes": QUERY}


@pytest.fixture
def imported(tmp_path: Path) -> Imported:
    imported = Imported(tmp_path / "data")
    imported.load(write_list(tmp_path / "list.csv", ENTRIES, 1))
    imported.publish()
    return imported


@pytest.fixture
def served(tmp_path: Path, imported: Imported) -> Iterator[tuple[Stubs, Callable[[int], None], Path]]:
    """A server, what makes its disk fail with an error or, with 0, work again, and its log."""
    address, log = f"unix:{tmp_path}/socket", tmp_path / "log"
    with log.open("wb") as stderr:
        server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("served.py")), str(imported.directory.path), address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=failing_disk.preloaded(failing_disk.compiled(tmp_path)),
        )
    assert server.stdin is not None
    assert server.stdout is not None

    def fail(error: int) -> None:
        print(error, file=server.stdin, flush=True)
        assert server.stdout is not None
        assert server.stdout.readline() == "told\n"

    try:
        assert server.stdout.readline() == "serving\n", log.read_text()
        with connected(address) as stubs:
            yield stubs, fail, log
        server.communicate(timeout=30)
    finally:
        server.kill()
        server.wait(10)
    assert server.returncode == 0, log.read_text()


CHANGES: dict[str, Callable[[Stubs], object]] = {
    "create": lambda stubs: create(stubs, "another"),
    "update": lambda stubs: update(stubs, BANK, enabled=False),
    "upsert": lambda stubs: apply(stubs, BANK, upsert("new")),
    "withdraw": lambda stubs: apply(stubs, BANK, change("withdraw", "0000007")),
    "publish": lambda stubs: stubs.publish(),
    "roll back": lambda stubs: rollback(stubs, 1),
}


def test_a_server_whose_disk_turns_read_only_answers_refuses_changes_and_goes_on(served, imported: Imported) -> None:
    stubs, fail, log = served
    sequence = apply(stubs, BANK, upsert("before")).sequence
    eventually(lambda: stubs.lookup(**LOOKUP).sequence == sequence)
    before = stubs.lookup(**LOOKUP)
    assert [match.entry_id for match in before.matches] == ["0000007"]
    assert stubs.status().storage_error == ""
    known = banks(stubs), generations(stubs), audit(stubs)

    fail(errno.EROFS)
    for name, make in CHANGES.items():
        error = refusal(make, stubs)
        assert (error.code(), name) == (grpc.StatusCode.FAILED_PRECONDITION, name)
        assert "takes no changes: Read-only file system" in error.details(), name
        assert stubs.lookup(**LOOKUP) == before
    status = stubs.status()
    assert status.storage_error == f"{imported.directory.path} takes no changes: Read-only file system"
    assert (status.sequence, status.worker.generation, status.worker.reload_error) == (sequence, 2, "")
    assert (banks(stubs), generations(stubs), audit(stubs)) == known
    request = banks_pb2.GetEntryRequest(bank=BANK, entry_id="0000007")
    assert stubs.banks.GetEntry(request, timeout=20).entries[0].matched
    assert stubs.health("") == "SERVING"

    fail(0)
    assert stubs.status().storage_error == ""
    apply(stubs, BANK, change("withdraw", "0000007"))
    eventually(lambda: not stubs.lookup(**LOOKUP).matches, 1)
    assert stubs.publish().number == 3
    eventually(lambda: stubs.lookup(**LOOKUP).generation == 3)
    assert "nobody foresaw" not in log.read_text()


def may_mount() -> bool:
    return subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode == 0  # noqa: S607


@pytest.mark.skipif(not may_mount(), reason="this user may not mount")
def test_a_server_does_not_start_on_a_read_only_disk_and_says_why(imported: Imported) -> None:
    data = imported.directory.path
    script = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
    serve = command("serve", "--data", data, "--listen", "127.0.0.1:0")
    before = sorted(os.walk(data))
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", str(data), *serve],  # noqa: S607
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment(),
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: the registry {data}/registry cannot be opened: {data} takes no changes: Read-only file system\n"
    )
    assert sorted(os.walk(data)) == before
