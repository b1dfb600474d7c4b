"""LMDB gives a registry up for a process in which the last step of a change failed: the worker is replaced."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from ..index.imported import BANK, Imported
from ..service.calls import apply, change, upsert
from ..service.running import alive, connected, eventually, serving
from . import failing_disk
from .numbered import write_list


def test_a_worker_that_loses_the_registry_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = Imported(tmp_path / "data")
    imported.load(write_list(tmp_path / "list.csv", range(20), 1))
    imported.publish()
    lookup = {"hash_type": 6, "hashes": bytes.fromhex(f"{1:016x}{7:016x}")}
    mark = tmp_path / "fail"
    monkeypatch.setenv("LD_PRELOAD", str(failing_disk.compiled(tmp_path)))
    monkeypatch.setenv("DISK_FAILS_LAST", str(mark))
    with serving(tmp_path / "server", imported.directory.path) as running:
        with connected(running.address) as stubs:
            before = stubs.status()
            assert stubs.lookup(**lookup).matches
            mark.touch()
            with pytest.raises(grpc.RpcError) as caught:
                apply(stubs, BANK, upsert("lost"))
            assert caught.value.code() in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE}
            assert not mark.exists()
        lost = before.worker.process_id
        eventually(lambda: not alive(lost))
        assert "This process ends, for another one to take its place" in running.log()

        def replaced() -> bool:
            with connected(running.address) as stubs:
                try:
                    return stubs.status().worker.generation > 0
                except grpc.RpcError as error:
                    assert error.code() == grpc.StatusCode.UNAVAILABLE  # noqa: PT017 - it is not there yet
                    return False

        eventually(replaced)
        with connected(running.address) as stubs:
            now = stubs.status()
            # What was refused did not come about, and what was acknowledged is there.
            assert (now.sequence, now.worker.sequence) == (before.sequence, before.sequence)
            assert now.worker.process_id != lost
            assert [match.entry_id for match in stubs.lookup(**lookup).matches] == ["0000007"]
            assert apply(stubs, BANK, change("withdraw", "0000007")).sequence == before.sequence + 1
            eventually(lambda: not stubs.lookup(**lookup).matches)
