"""Servers to load, in processes of their own, and what they use of the machine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Serving", "cpu_s", "pinned", "proportional_bytes", "resident_bytes", "serving"]


@dataclass
class Serving:
    """A running server.

    Attributes
    ----------
    addresses : tuple of str
        HOST:PORT of each worker.
    start_s : float
        From the command to its saying that every worker serves.
    """

    process: subprocess.Popen[str]
    addresses: tuple[str, ...]
    start_s: float

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        return _children(self.template())

    def template(self) -> int:
        """Return the process id of what the workers are forked from, and share memory with."""
        (found,) = (child for child in _children(self.process.pid) if _name(child) == "nearhash-fork")
        return found


@contextmanager
def serving(data: Path, *, workers: int, cpus: Sequence[int] = (), settings: Sequence[str] = ()) -> Iterator[Serving]:
    """Run `nearhash serve` with the bench's methods, on these cores alone if any are given.

    Each worker has a port of its own. With one for all, connections are dealt out by chance: of 16, one of two workers
    gets 10, and what is measured is that one.
    """
    arguments = ["serve", "--data", str(data), "--listen", "127.0.0.1:0", "--workers", str(workers)]
    for setting in ("publish.auto=false", "server.port_per_worker=true", *settings):
        arguments += ["--set", setting]
    command = [sys.executable, "-m", "bench.load.echoing_server", *arguments]
    started_s = time.perf_counter()
    with subprocess.Popen(
        pinned(command, cpus), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            serving_at = re.search(r" at (\S+:\d+) ", process.stdout.readline())
            assert serving_at is not None, "the server did not start"
            yield Serving(process, tuple(serving_at[1].split(",")), time.perf_counter() - started_s)
        finally:
            process.send_signal(signal.SIGTERM)


def pinned(command: Sequence[str], cpus: Sequence[int]) -> list[str]:
    """Return the command that runs another one on these cores; on any if there are none."""
    return [*(["taskset", "-c", ",".join(map(str, cpus))] if cpus else []), *command]


def cpu_s(process_ids: Iterable[int]) -> float:
    """Return the CPU time that processes have used, in user and system mode together."""
    ticks = 0
    for process_id in process_ids:
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def proportional_bytes(process_ids: Iterable[int]) -> int:
    """Return the memory of processes (PSS): a page that k processes share counts a k-th for each."""
    return _memory_bytes("Pss", process_ids)


def resident_bytes(process_ids: Iterable[int]) -> int:
    """Return the sum of resident memory (RSS): a shared page counts in full for each process."""
    return _memory_bytes("Rss", process_ids)


def _memory_bytes(kind: str, process_ids: Iterable[int]) -> int:
    total = 0
    for process_id in process_ids:
        told = re.search(rf"^{kind}: +(\d+) kB$", Path(f"/proc/{process_id}/smaps_rollup").read_text(), re.MULTILINE)
        assert told is not None
        total += int(told[1]) * 1024
    return total


def _children(process_id: int) -> list[int]:
    return list(map(int, Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()))


def _name(process_id: int) -> str:
    return Path(f"/proc/{process_id}/comm").read_text().strip()
