"""Everything at once for a long time: what a server uses must not grow."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

import grpc
import numpy as np
import pytest

from nearhash.v1 import banks_pb2, lookup_pb2
from nearhash_index.hash_types import HASH_TYPES

from ..service.calls import apply, change, hash_message, release, remove, rollback, upsert
from ..service.running import Running, Stubs, command, connected, environment, serving
from ..service.sample import NARROW, make_sample, write_sample

DURATION_S = float(os.environ.get("NEARHASH_SOAK_S", "600"))
SAMPLES = 40
"""Memory and the like are looked at so often."""
KEPT = 3
MEGABYTE = 1 << 20
PHASH = HASH_TYPES["phash64"]
PASSING = (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.ABORTED, grpc.StatusCode.FAILED_PRECONDITION)
"""Several that change the list get in each other's way: too many calls, another build, a pinned generation."""


class Used(NamedTuple):
    """What a server uses at one time, all of its processes together; files on disk, too."""

    own_bytes: int
    files: int
    threads: int
    generations: int


class Soak:
    """Does things over and over, each in a thread of its own, until it is told to stop; counts what came of them."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def repeat(self, name: str, step: Callable[[], object], pause_s: float) -> None:
        def run() -> None:
            while not self._stop.wait(pause_s):
                try:
                    step()
                    self.done[name] += 1
                except grpc.RpcError as error:
                    self.done[f"{name}: {error.code().name}"] += 1
                    if error.code() not in PASSING:
                        self.failures.append(f"{name}: {error.details()}")
                except Exception as error:  # noqa: BLE001 - told by the test
                    self.failures.append(f"{name}: {error!r}")

        self._threads.append(threading.Thread(target=run, name=name))

    def names(self) -> list[str]:
        return [thread.name for thread in self._threads]

    @contextmanager
    def going_on(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join(60)


@pytest.mark.long
@pytest.mark.timeout(DURATION_S + 300)
def test_what_a_server_uses_does_not_grow(tmp_path, capsys):
    sample = make_sample()
    data = tmp_path / "data"
    write_sample(data, sample)
    hashes = sample.hashes(PHASH, NARROW)
    soak, used = Soak(), []
    options = ("--workers", 2, "--set", f"publish.kept_generations={KEPT}", "--set", "publish.auto=false")
    with serving(tmp_path / "server", data, *options) as running, ExitStack() as stack:
        stubs = [stack.enter_context(connected(running.address)) for _ in range(5)]
        for i in range(2):
            soak.repeat(f"lookup {i}", lookup_known(stubs[i], hashes), 0.002)
        soak.repeat("batch", lookup_batch(stubs[2]), 0.05)
        soak.repeat("import", import_file(running, tmp_path / "list.csv"), 5.0)
        soak.repeat("change and publish", change_and_publish(stubs[3]), 0.5)
        soak.repeat("withdraw", withdraw_and_reinstate(stubs[4]), 0.2)
        soak.repeat("roll back", lambda: (rollback(stubs[3]), release(stubs[3])), 3.0)
        soak.repeat("leave", leave_in_the_middle(running, hashes), 0.05)
        with soak.going_on():
            end_s = monotonic() + DURATION_S
            while monotonic() < end_s and not soak.failures:
                sleep(DURATION_S / SAMPLES)
                used.append(use_of(running))
        assert soak.failures == []
        assert "Traceback" not in running.log()
    early, late = used[SAMPLES // 4 : SAMPLES // 2], used[-SAMPLES // 4 :]
    tell(capsys, f"{DURATION_S:.0f} s: {dict(soak.done)}")
    assert all(soak.done[name] > DURATION_S / 60 for name in soak.names())
    before, after = (between_builds(part) for part in (early, late))
    tell(capsys, f"early: {before}, late: {after}")
    assert after.own_bytes < 1.05 * before.own_bytes + 10 * MEGABYTE
    assert after.files <= before.files + 4
    assert after.threads <= before.threads + 8
    assert max(sample.generations for sample in used) <= KEPT + 2


def lookup_known(stubs: Stubs, hashes: list[bytes]) -> Callable[[], None]:
    numbers = count()

    def step() -> None:
        value = hashes[next(numbers) % len(hashes)]
        assert stubs.lookup(hash_type=PHASH.number, hashes=value).matches[0].distance == 0

    return step


def lookup_batch(stubs: Stubs) -> Callable[[], None]:
    rng = np.random.default_rng(1)
    return lambda: stubs.lookup(hash_type=PHASH.number, hashes=rng.bytes(8 * 4096), max_matches_per_hash=1)


def import_file(running: Running, path: Path) -> Callable[[], None]:
    """Import a whole list of a source in turns, so that half of its entries come and go."""
    rng, numbers = np.random.default_rng(2), count()
    values = [rng.bytes(8).hex() for _ in range(200)]

    def step() -> None:
        first = next(numbers) % 2 * 100
        rows = [f"{value},phash64,listed-{i}" for i, value in enumerate(values)][first : first + 100]
        path.write_text("\n".join(["hash,hash_type,entry_id", *rows, ""]))
        told = subprocess.run(
            command("import", NARROW, path, "--data", running.data, "--source", "soak", "--full",
                    "--max-removed-share", "1"),
            capture_output=True, text=True, timeout=120, check=False, env=environment(),
        )  # fmt: skip
        assert told.returncode == 0, told.stderr

    return step


def change_and_publish(stubs: Stubs) -> Callable[[], None]:
    value, numbers = np.random.default_rng(3).bytes(8), count()

    def step() -> None:
        there = next(numbers) % 2 == 0
        apply(stubs, NARROW, upsert("changing", hash_message(1, value)) if there else remove("changing"))
        stubs.banks.Publish(banks_pb2.PublishRequest(), timeout=60)

    return step


def withdraw_and_reinstate(stubs: Stubs) -> Callable[[], None]:
    value = np.random.default_rng(4).bytes(8)

    def step() -> None:
        apply(stubs, NARROW, upsert("withdrawn", hash_message(1, value)))
        apply(stubs, NARROW, change("withdraw", "withdrawn"))
        apply(stubs, NARROW, change("reinstate", "withdrawn"))

    return step


def leave_in_the_middle(running: Running, hashes: list[bytes]) -> Callable[[], None]:
    """Leave in turns with a call under way, with a connection that said nothing, and with half a preface."""
    request = lookup_pb2.LookupRequest(hash_type=PHASH.number, hashes=b"".join(hashes) * 20)
    numbers = count()

    def step() -> None:
        kind = next(numbers) % 3
        if kind == 0:
            with connected(running.address) as stubs:
                call = stubs.lookups.Lookup.future(request, timeout=20)
                sleep(0.003)
                call.cancel()
            return
        with socket.create_connection(("127.0.0.1", running.port), timeout=20) as connection:
            connection.sendall(b"PRI * HTTP/2.0\r\n" if kind == 1 else b"")

    return step


def use_of(running: Running) -> Used:
    processes = [running.process.pid, *running.workers()]
    status = [Path(f"/proc/{process}/status").read_text() for process in processes]

    def field(name: str) -> int:
        return sum(int(text.split(f"\n{name}:")[1].split()[0]) for text in status)

    return Used(
        own_bytes=field("RssAnon") * 1024,
        files=sum(len(os.listdir(f"/proc/{process}/fd")) for process in processes),
        threads=field("Threads"),
        generations=len([path for path in (running.data / "generations").iterdir() if path.is_dir()]),
    )


def between_builds(samples: list[Used]) -> Used:
    """Return what a server uses while none is under way, which would have some pipes and threads for itself."""
    own_bytes, files, threads, generations = zip(*samples, strict=True)
    return Used(int(statistics.median(own_bytes)), min(files), min(threads), max(generations))


def tell(capsys, text: str) -> None:
    with capsys.disabled(), suppress(BrokenPipeError):
        print(f"\n  {text}")  # noqa: T201
