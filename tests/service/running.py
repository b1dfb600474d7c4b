"""Servers in processes of their own, started as an operator would and ended by their process id."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from nearhash.v1 import banks_pb2, banks_pb2_grpc, lookup_pb2, lookup_pb2_grpc

BIN = Path(sys.executable).parent
START_S = 60.0
"""Generous: the machine may be busy. A start takes about a second."""
CALL_S = 20.0

T = TypeVar("T")


def eventually(what: Callable[[], T], within_s: float = 20.0, every_s: float = 0.02, seen: object = "") -> T:
    """Return the first true result; fail if there is none in time, telling what was seen."""
    deadline_s = monotonic() + within_s
    while not (result := what()):
        assert monotonic() < deadline_s, f"it did not come about in time {seen}"
        sleep(every_s)
    return result


@dataclass
class Running:
    """A running `nearhash serve`."""

    process: subprocess.Popen[bytes]
    folder: Path
    address: str = ""
    data: Path = Path()

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def output(self) -> str:
        return (self.folder / "stdout").read_text()

    def log(self) -> str:
        return (self.folder / "stderr").read_text()

    def workers(self) -> set[int]:
        """Return the process ids of the workers that serve."""
        notes = (self.data / "workers").glob("*.json")
        return {int(note.stem) for note in notes if alive(int(note.stem))} & descendants(self.process.pid)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def command(*arguments: object) -> list[str]:
    return [str(BIN / "nearhash"), *map(str, arguments)]


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("NEARHASH_")}


def refused(*arguments: object) -> str:
    """Run `nearhash serve` where it must refuse to start; return what it says why."""
    done = subprocess.run(
        command("serve", *arguments), capture_output=True, text=True, timeout=60, check=False, env=environment()
    )
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


@contextmanager
def starting(folder: Path, *arguments: object) -> Iterator[Running]:
    """Start `nearhash serve` with these arguments, without waiting until it serves. It has ended at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(command("serve", *arguments), stdout=stdout, stderr=stderr, env=environment())
    running = Running(process, folder)
    try:
        yield running
    finally:
        try:
            running.stop()
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
            raise


@contextmanager
def serving(folder: Path, data: Path, *arguments: object, listen: str = "127.0.0.1:0") -> Iterator[Running]:
    """Run a server and wait until it says that it serves. Its output goes to files in `folder`."""
    with starting(folder, "--data", data, "--listen", listen, *arguments) as running:

        def address() -> re.Match[str] | None:
            assert running.process.poll() is None, running.log()
            return re.search(r"^serving .* at (\S+) with \d+ workers$", running.output(), re.MULTILINE)

        running.address = eventually(address, START_S)[1]
        running.data = data
        yield running


@dataclass
class Stubs:
    """Every service of a server, over one connection."""

    channel: grpc.Channel

    def __post_init__(self) -> None:
        self.lookups = lookup_pb2_grpc.LookupServiceStub(self.channel)
        self.banks = banks_pb2_grpc.BankServiceStub(self.channel)
        self._health = health_pb2_grpc.HealthStub(self.channel)

    def lookup(self, **fields: object) -> lookup_pb2.LookupResponse:
        return self.lookups.Lookup(lookup_pb2.LookupRequest(**fields), timeout=CALL_S)

    def status(self) -> banks_pb2.GetStatusResponse:
        return self.banks.GetStatus(banks_pb2.GetStatusRequest(), timeout=CALL_S)

    def publish(self) -> banks_pb2.Generation:
        return self.banks.Publish(banks_pb2.PublishRequest(), timeout=60).generation

    def health(self, service: str) -> str:
        response = self._health.Check(health_pb2.HealthCheckRequest(service=service), timeout=CALL_S)
        return health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)


@contextmanager
def connected(target: str, credentials: grpc.ChannelCredentials | None = None) -> Iterator[Stubs]:
    """Connect without retries, over a connection that no other channel shares."""
    options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
    if credentials is None:
        channel = grpc.insecure_channel(target, options=options)
    else:
        channel = grpc.secure_channel(target, credentials, options=options)
    with channel:
        yield Stubs(channel)


def children(process_id: int) -> set[int]:
    """Return the ids of a process's children."""
    found: set[int] = set()
    # It may end meanwhile.
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{process_id}/task").glob("*/children"):
            found.update(map(int, task.read_text().split()))
    return found


def descendants(process_id: int) -> set[int]:
    """Return the ids of a process's children, and theirs."""
    return {found for child in children(process_id) for found in (child, *descendants(child))}


def alive(process_id: int) -> bool:
    """Tell whether a process runs: a zombie does not."""
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
