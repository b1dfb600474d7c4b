"""What the Python client gains by sending concurrent lookups of single hashes together.

    python -m bench.client_batching [--seconds 1.5] [--rows 100000]

Threads, or tasks, look up one hash at a time, each as soon as its last is answered: with `lookup`, a call for each, and
with `lookup_one`. One server with one worker, on the same cores as the client. Prints a table, and keeps it with the
machine in bench/records/client-batching.json.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from bench.list_operations import nearhash, serving
from bench.measure import save
from rich.console import Console

from nearhash_client import AsyncClient, Client
from nearhash_service.cli.printing import table

SEED = 7
ROUNDS = 2


class Way(NamedTuple):
    """How to look up, and how many do so at once."""

    callers: int
    kind: str
    method: str
    calls: int = 2
    delay_ms: float = 0

    def __str__(self) -> str:
        if self.method == "lookup":
            return "lookup: a call each"
        delay = f", max_delay_ms={self.delay_ms:g}" if self.delay_ms else ""
        return f"lookup_one, max_concurrent_calls={self.calls}{delay}"


WAYS = [
    Way(callers, kind, *way)
    for callers, kind in ((1, "threads"), (64, "threads"), (1, "tasks"), (256, "tasks"))
    for way in (("lookup",), ("lookup_one", 1), ("lookup_one", 2), ("lookup_one", 4), ("lookup_one", 2, 2))
    if callers > 1 or len(way) == 1 or way == ("lookup_one", 2)
]


class Measured(NamedTuple):
    """What one way reached."""

    lookups_per_s: float
    median_ms: float
    p99_ms: float


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--rows", type=int, default=100_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nearhash-bench-") as folder:
        data = published(Path(folder), arguments.rows)
        with serving(data, workers=1) as (target, _):
            rounds = [[measure(target, way, arguments.seconds) for way in WAYS] for _ in range(ROUNDS)]
    best = [max(of_way) for of_way in zip(*rounds, strict=True)]
    columns = ("callers", "way", "lookups/s", "median ms", "p99 ms")
    shown = table(*columns, right=columns[2:])
    for way, found in zip(WAYS, best, strict=True):
        numbers = f"{found.lookups_per_s:,.0f}", f"{found.median_ms:.2f}", f"{found.p99_ms:.2f}"
        shown.add_row(f"{way.callers} {way.kind}", str(way), *numbers)
    Console().print(shown)
    records = [{**way._asdict(), **found._asdict()} for way, found in zip(WAYS, best, strict=True)]
    save("client-batching", {"rows": arguments.rows, "seed": SEED, "best_of": ROUNDS, "ways": records})


def published(folder: Path, rows: int) -> Path:
    """Return a data directory with random pHashes."""
    values = np.random.default_rng(SEED).integers(0, 2**64, rows, dtype=np.uint64)
    csv, data = folder / "list.csv", folder / "data"
    lines = (f"{value:016x},phash64,entry-{i}\n" for i, value in enumerate(values.tolist()))
    csv.write_text("hash,hash_type,entry_id\n" + "".join(lines))
    nearhash("bank", "create", "large", "--data", data)
    nearhash("import", "large", csv, "--data", data)
    nearhash("publish", "--data", data)
    return data


def measure(target: str, way: Way, seconds: float) -> Measured:
    """Look up for so long, after a tenth of it unmeasured."""
    run = with_threads if way.kind == "threads" else with_tasks
    run(target, way, seconds / 10)
    latencies_s = run(target, way, seconds)
    median, p99 = np.percentile(latencies_s, [50, 99]) * 1e3
    return Measured(len(latencies_s) / seconds, median, p99)


def with_threads(target: str, way: Way, seconds: float) -> list[float]:
    latencies_s: list[float] = []
    with Client(target, max_concurrent_calls=way.calls, max_delay_ms=way.delay_ms) as client:

        def look_up(caller: int) -> None:
            hashes = random_hashes(caller)
            while (start_s := time.perf_counter()) < end_s:
                if way.method == "lookup":
                    client.lookup([next(hashes)])
                else:
                    client.lookup_one(next(hashes))
                latencies_s.append(time.perf_counter() - start_s)

        client.ready(10)
        end_s = time.perf_counter() + seconds
        threads = [threading.Thread(target=look_up, args=(caller,)) for caller in range(way.callers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return latencies_s


def with_tasks(target: str, way: Way, seconds: float) -> list[float]:
    latencies_s: list[float] = []

    async def run() -> None:
        async with AsyncClient(target, max_concurrent_calls=way.calls, max_delay_ms=way.delay_ms) as client:

            async def look_up(caller: int) -> None:
                hashes = random_hashes(caller)
                while (start_s := time.perf_counter()) < end_s:
                    if way.method == "lookup":
                        await client.lookup([next(hashes)])
                    else:
                        await client.lookup_one(next(hashes))
                    latencies_s.append(time.perf_counter() - start_s)

            await client.ready(10)
            end_s = time.perf_counter() + seconds
            await asyncio.gather(*(look_up(caller) for caller in range(way.callers)))

    asyncio.run(run())
    return latencies_s


def random_hashes(seed: int) -> Iterator[int]:
    rng = np.random.default_rng([SEED, seed])
    while True:
        yield from rng.integers(0, 2**64, 256, dtype=np.uint64).tolist()


if __name__ == "__main__":
    main()
