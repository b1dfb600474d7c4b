"""The whole way from photographs to matches, against a running server. Exit status 0 only if all of it held."""

from __future__ import annotations

import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, perf_counter, sleep

import numpy as np
from PIL import Image
from rich.console import Console

from nearhash_client import Client, LookupResult, NearHashError
from nearhash_client.hashing import compute
from nearhash_index import reference
from nearhash_index.codes import Codes, codes_from_bytes
from nearhash_index.hash_types import HASH_TYPES
from nearhash_service.cli.printing import table

from .photographs import ALTERATIONS, generated, photographs

ENTRIES = 100_000
TYPES = ("phash64", "pdq256")
BANK = "demo"
WITHIN_S = 10.0
"""How long a change may take to reach every worker before the demo calls it failed."""

console = Console(width=120, highlight=False)
Hashes = dict[str, bytes]


class Checks:
    """Remembers what did not hold."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    def __call__(self, what: str, held: bool) -> None:
        console.print(f"  [{'green' if held else 'red'}]{'held' if held else 'FAILED'}[/]  {what}")
        if not held:
            self.failed.append(what)


def main() -> int:
    check = Checks()
    with tempfile.TemporaryDirectory(prefix="nearhash-demo-") as folder:
        data, csv = Path(folder, "data"), Path(folder, "list.csv")
        step("Hash photographs, add random entries, publish")
        originals = {name: (image, hashes_of(image)) for name, image in all_photographs()}
        codes = write_list(csv, {name: hashes for name, (_, hashes) in originals.items()})
        nearhash("bank", "create", BANK, "--data", data)
        nearhash("import", BANK, csv, "--data", data)
        nearhash("publish", "--data", data)
        step("Serve with two workers")
        with serving(data) as (server, target), Client(target) as client:
            find_altered_copies(client, originals, codes, check)
            add_and_withdraw(client, target, Path(folder), check)
            step("Stop the server")
            server.send_signal(signal.SIGTERM)
            check(f"the server drained and ended with status {server.wait(30)}", server.returncode == 0)
    console.print()
    for what in check.failed:
        console.print(f"[bold red]FAILED[/]  {what}")
    console.print("[bold green]All held.[/]" if not check.failed else "")
    return bool(check.failed)


def all_photographs() -> Iterator[tuple[str, Image.Image]]:
    yield from photographs()
    yield from generated(8, seed=1)


def hashes_of(image: Image.Image) -> Hashes:
    return {item.hash_type: item.value for item in compute(image, TYPES)}


def write_list(path: Path, originals: dict[str, Hashes]) -> dict[str, Codes]:
    """Write the hash list, and return the codes of each type in the list's order for the oracle."""
    rng = np.random.default_rng(2026)
    entries = dict(originals)
    for i in range(ENTRIES - len(originals)):
        entries[f"random-{i:06}"] = {name: rng.bytes(HASH_TYPES[name].size_bytes) for name in TYPES}
    with path.open("w", encoding="utf-8") as file:
        file.write("hash,hash_type,entry_id,source,labels\n")
        for entry_id, hashes in entries.items():
            label = "photograph" if entry_id in originals else "random"
            file.writelines(f"{value.hex()},{name},{entry_id},demo,{label}\n" for name, value in hashes.items())
    return {
        name: codes_from_bytes(b"".join(hashes[name] for hashes in entries.values()), HASH_TYPES[name])
        for name in TYPES
    }


def find_altered_copies(
    client: Client, originals: dict[str, tuple[Image.Image, Hashes]], codes: dict[str, Codes], check: Checks
) -> None:
    step("Look altered copies up: distance by pHash / PDQ, - where it is too far")
    latencies_ms: list[float] = []
    exact = True
    rows = table("photograph", *ALTERATIONS, right=tuple(ALTERATIONS))
    found = dict.fromkeys(ALTERATIONS, 0)
    for name, (image, _) in originals.items():
        cells = []
        for alteration, alter in ALTERATIONS.items():
            distances = []
            for hash_type, value in hashes_of(alter(image)).items():
                start_s = perf_counter()
                result = client.lookup([value], hash_type=hash_type)
                latencies_ms.append((perf_counter() - start_s) * 1e3)
                distances.append(distance_to(result, name))
                exact &= agrees_with_oracle(result, hash_type, value, codes[hash_type])
            found[alteration] += any(distance is not None for distance in distances)
            cells.append(" / ".join("-" if distance is None else str(distance) for distance in distances))
        rows.add_row(name, *cells)
    console.print(rows)
    for alteration, count in found.items():
        check(f"{alteration}: {count} of {len(originals)} copies found by pHash or PDQ", count == len(originals))
    check(
        f"each of the {len(latencies_ms)} answers is what comparing with all {ENTRIES:,} entries in NumPy gives", exact
    )
    p99 = statistics.quantiles(latencies_ms, n=100)[98]
    console.print(
        f"  latency of a lookup, end to end: median {statistics.median(latencies_ms):.2f} ms, p99 {p99:.2f} ms"
    )
    unrelated = [next(iter(compute(image, ("phash64",)))).value for _, image in generated(40, seed=7)]
    check("40 unrelated images match nothing", not client.lookup(unrelated, hash_type="phash64").matches)


def add_and_withdraw(client: Client, target: str, folder: Path, check: Checks) -> None:
    step("Add an entry while serving, then withdraw it")
    ((name, image),) = generated(1, seed=99)
    hashes = hashes_of(image)
    value = hashes["phash64"]
    check("the new image matches nothing yet", not client.lookup([value]).matches)
    with calls_going_on(target, value) as calls:
        addition = folder / "addition.csv"
        rows = "".join(f"{item.hex()},{hash_type},{name}\n" for hash_type, item in hashes.items())
        addition.write_text(f"hash,hash_type,entry_id\n{rows}", encoding="utf-8")
        nearhash("import", BANK, addition, "--target", target)
        took_s = wait_for(target, value, lambda result: distance_to(result, name) == 0)
        check(f"matched by every worker {told(took_s)} the import", took_s is not None)
        nearhash("publish", "--target", target)
        took_s = wait_for(target, value, lambda result: result.generation == 2 and distance_to(result, name) == 0)
        check(f"matched in the new generation by every worker {told(took_s)} the publish", took_s is not None)
        nearhash("withdraw", BANK, name, "--reason", "demo", "--target", target)
        took_s = wait_for(target, value, lambda result: not result.matches)
        check(f"no longer matched by any worker {told(took_s)} the withdrawal", took_s is not None)
        nearhash("publish", "--target", target)
        took_s = wait_for(target, value, lambda result: result.generation == 3 and not result.matches)
        check(f"nor in the new generation {told(took_s)} the publish", took_s is not None)
        nearhash("rollback", "2", "--target", target)
        took_s = wait_for(target, value, lambda result: result.generation == 2 and not result.matches)
        check(f"nor after a roll back to the generation that has it, {told(took_s)} it", took_s is not None)
    check(f"of {calls['answered']:,} calls meanwhile, {calls['failed']} failed", calls["failed"] == 0)


def wait_for(target: str, value: bytes, fulfilled: Callable[[LookupResult], bool]) -> float | None:
    """Return the seconds until 20 new connections in a row, spread over the workers, see the change; None: too long."""
    start_s = monotonic()
    seen = 0
    while seen < 20:
        with Client(target) as client:
            seen = seen + 1 if fulfilled(client.lookup([value])) else 0
        if monotonic() - start_s > WITHIN_S:
            return None
    return monotonic() - start_s


def told(took_s: float | None) -> str:
    return f"within {WITHIN_S} s of" if took_s is None else f"{took_s:.2f} s after"


@contextmanager
def calls_going_on(target: str, value: bytes) -> Iterator[dict[str, int]]:
    """Look up without pause from another thread, and count."""
    calls = {"answered": 0, "failed": 0}
    stop = threading.Event()

    def call() -> None:
        with Client(target) as client:
            while not stop.is_set():
                try:
                    client.lookup([value], timeout_s=5)
                    calls["answered"] += 1
                except NearHashError as error:
                    console.print(f"  [red]{error}[/]")
                    calls["failed"] += 1
                sleep(0.001)

    thread = threading.Thread(target=call)
    thread.start()
    try:
        yield calls
    finally:
        stop.set()
        thread.join()


def distance_to(result: LookupResult, entry_id: str) -> int | None:
    return next((match.distance for match in result.matches if match.entry_id == entry_id), None)


def agrees_with_oracle(result: LookupResult, hash_type: str, value: bytes, codes: Codes) -> bool:
    if result.unsearchable:
        return False
    of_type = HASH_TYPES[hash_type]
    expected = reference.search(codes, codes_from_bytes(value, of_type), of_type.default_radius)
    return [match.distance for match in result.matches] == expected.distance.tolist()


@contextmanager
def serving(data: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a server in a process of its own, and yield it with its address."""
    command = [sys.executable, "-m", "nearhash_service", "serve", "--data", str(data)]
    console.print("$ nearhash serve --data data --listen 127.0.0.1:0 --workers 2")
    arguments = ["--listen", "127.0.0.1:0", "--workers", "2"]
    with subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            address = re.search(r" at (\S+:\d+) ", line)
            if address is None:
                sys.exit("the server did not start")
            console.print(line.replace(str(data), "data").strip())
            yield server, address[1]
        finally:
            if server.poll() is None:
                server.terminate()


def nearhash(*arguments: str | Path) -> None:
    """Run the command, showing it as one would type it."""
    shown = " ".join(argument.name if isinstance(argument, Path) else argument for argument in arguments)
    console.print(f"$ nearhash {shown}")
    ran = subprocess.run(
        [sys.executable, "-m", "nearhash_service", *map(str, arguments)], check=False, capture_output=True, text=True
    )
    console.print(ran.stdout.replace(str(arguments[-3]), Path(arguments[-3]).name).strip())
    if ran.returncode:
        sys.exit(ran.stderr)


def step(title: str) -> None:
    console.rule(f"[bold]{title}", align="left")


if __name__ == "__main__":
    sys.exit(main())
