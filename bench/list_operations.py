"""What an operator waits for, at the size of a large list: import, build, roll back, withdraw.

    python -m bench.list_operations [--rows 10000000]

Prints a table, and keeps it with the machine in bench/records/list-operations.json. Everything runs through the command
`nearhash` and a real server with two workers, in a temporary folder.
"""

from __future__ import annotations

import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from bench.measure import save
from rich.console import Console

from nearhash.v1 import banks_pb2, banks_pb2_grpc
from nearhash_client import Client
from nearhash_client.channel import open_channel
from nearhash_index.store import DataDirectory, Generation
from nearhash_service.cli.printing import table

SEED = 7
WITHDRAWALS = 20


class Step(NamedTuple):
    """What was measured of one step."""

    name: str
    wall_s: float
    peak_mb: float | None = None


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="nearhash-bench-") as folder:
        steps = list(measure(Path(folder), rows))
    shown = table("step", "seconds", "peak memory, MB", right=("seconds", "peak memory, MB"))
    for step in steps:
        shown.add_row(step.name, f"{step.wall_s:,.3f}", "" if step.peak_mb is None else f"{step.peak_mb:,.0f}")
    Console().print(shown)
    save("list-operations", {"rows": rows, "seed": SEED, "steps": [step._asdict() for step in steps]})


def measure(folder: Path, rows: int) -> Iterator[Step]:
    data, csv = folder / "data", folder / "list.csv"
    values = np.random.default_rng(SEED).integers(0, 2**64, rows, dtype=np.uint64)
    with csv.open("w") as file:
        file.write("hash,hash_type,entry_id\n")
        file.writelines(f"{value:016x},phash64,entry-{i:09}\n" for i, value in enumerate(values.tolist()))
    nearhash("bank", "create", "large", "--data", data)
    yield nearhash("import", "large", csv, "--data", data, step=f"import of a CSV of {rows:,} rows")
    yield nearhash("publish", "--data", data, step="build and publish")
    started_s = time.perf_counter()
    Generation.open(DataDirectory(data).generation_path(1))
    yield Step("opening the generation: verifying and mapping it", time.perf_counter() - started_s)
    yield nearhash("import", "large", csv, "--data", data, step="import of the same again")
    with serving(data) as (target, start_s), open_channel(target, tls=None) as channel:
        yield Step("start of two workers, until SERVING", start_s)
        banks = banks_pb2_grpc.BankServiceStub(channel)
        latencies_s = [withdraw(banks, target, values, rows // 2 + i) for i in range(WITHDRAWALS)]
        yield Step(f"withdrawal, until no worker matches: median of {WITHDRAWALS}", statistics.median(latencies_s))
        yield Step(f"withdrawal, until no worker matches: worst of {WITHDRAWALS}", max(latencies_s))
        yield nearhash("publish", "--target", target, step="publish with 20 changes, while serving")
        started_s = time.perf_counter()
        banks.Rollback(banks_pb2.RollbackRequest())
        wait_for_generation(banks, 1)
        yield Step("roll back, until every worker serves it", time.perf_counter() - started_s)


def withdraw(banks: banks_pb2_grpc.BankServiceStub, target: str, values: np.ndarray, row: int) -> float:
    """Withdraw an entry, and return the seconds until ten new connections in a row, over both workers, miss it."""
    value = int(values[row]).to_bytes(8)
    key = banks_pb2.EntryKey(source="local", entry_id=f"entry-{row:09}")
    change = banks_pb2.Change(withdraw=key)
    banks.ApplyChanges(banks_pb2.ApplyChangesRequest(bank="large", changes=[change]))
    acknowledged_s = time.perf_counter()
    missed = 0
    while missed < 10:
        with Client(target) as client:
            missed = 0 if client.lookup([value], radius=0).matches else missed + 1
            if not missed:
                last_match_s = time.perf_counter()
    return last_match_s - acknowledged_s if "last_match_s" in locals() else 0.0


def wait_for_generation(banks: banks_pb2_grpc.BankServiceStub, number: int) -> None:
    for _ in range(1000):
        workers = banks.GetStatus(banks_pb2.GetStatusRequest()).workers
        if len(workers) == 2 and all(worker.generation == number for worker in workers):
            return
        time.sleep(0.01)
    raise TimeoutError(f"not every worker serves generation {number}")


@contextmanager
def serving(data: Path, workers: int = 2) -> Iterator[tuple[str, float]]:
    started_s = time.perf_counter()
    arguments = [
        "serve",
        "--data",
        str(data),
        "--listen",
        "127.0.0.1:0",
        "--workers",
        str(workers),
        "--set",
        "publish.auto=false",
    ]
    command = [sys.executable, "-m", "nearhash_service", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        address = re.search(r" at (\S+:\d+) ", server.stdout.readline())
        assert address is not None, "the server did not start"
        yield address[1], time.perf_counter() - started_s
        server.send_signal(signal.SIGTERM)


def nearhash(*arguments: str | Path, step: str = "") -> Step:
    """Run the command to its end; the peak memory is of it and what it started, the largest process."""
    command = [sys.executable, "-m", "nearhash_service", *map(str, arguments)]
    started_s = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} ended with {status}")
    return Step(step, time.perf_counter() - started_s, usage.ru_maxrss / 1024)


if __name__ == "__main__":
    main()
