"""The Envoy configuration that we ship, in a real Envoy in front of two real servers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from nearhash_index.hash_types import HASH_TYPES

from ..service.running import Running, alive, connected, descendants, eventually, serving
from ..service.sample import NARROW, make_sample, write_sample

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "service" / "deploy" / "envoy.yaml"
ENVOY = Path(sys.executable).parent / "envoy"
THREADS = 4


@dataclass
class Envoy:
    """A running Envoy."""

    admin: str
    address: str

    def hosts(self) -> dict[int, dict[str, object]]:
        """Return what it knows of each server, by port: whether it is healthy, and the calls sent there."""
        found = {}
        for host in self.asked("clusters")["cluster_statuses"][0]["host_statuses"]:
            counts = {item["name"]: int(item.get("value", 0)) for item in host["stats"]}
            healthy = host["health_status"] == {"eds_health_status": "HEALTHY"}
            found[host["address"]["socket_address"]["port_value"]] = {"healthy": healthy, "calls": counts["rq_total"]}
        return found

    def count(self, name: str) -> int:
        """Return a count of the servers together."""
        counts = {item["name"]: item["value"] for item in self.asked("stats")["stats"] if "name" in item}
        return counts[f"cluster.nearhash.{name}"]

    def asked(self, what: str) -> dict[str, object]:
        with urllib.request.urlopen(f"http://{self.admin}/{what}?format=json", timeout=10) as answer:
            return json.load(answer)


@contextmanager
def envoy(folder: Path, ports: list[int]) -> Iterator[Envoy]:
    """Run Envoy with the configuration shipped, but for the ports."""
    text = CONFIG.read_text()
    for shipped, port in ((50050, 0), (9901, 0), (50051, ports[0]), (50052, ports[1])):
        assert text.count(f"port_value: {shipped} ") == 1
        text = text.replace(f"port_value: {shipped} ", f"port_value: {port} ")
    config, admin = folder / "envoy.yaml", folder / "admin"
    config.write_text(text)
    arguments = ["-c", config, "--concurrency", "1", "--disable-hot-restart", "--admin-address-path", admin]
    with (folder / "envoy.log").open("wb") as log:
        process = subprocess.Popen([ENVOY, *arguments, "--log-level", "warning"], stderr=log)
    try:
        eventually(lambda: admin.exists() and admin.read_text(), seen=folder / "envoy.log")
        running = Envoy(admin.read_text(), "")
        listening = eventually(lambda: running.asked("listeners").get("listener_statuses"))
        port = listening[0]["local_address"]["socket_address"]["port_value"]
        running.address = f"127.0.0.1:{port}"
        yield running
    finally:
        process.terminate()
        process.wait(20)


class Callers:
    """Look hashes up, one after the other on each thread, without trying again."""

    def __init__(self, address: str, hashes: bytes) -> None:
        self._address, self._hashes = address, hashes
        self._stop = threading.Event()
        self.answered = [0] * THREADS
        self.failed: list[str] = []
        self._threads = [threading.Thread(target=self._call, args=(i,)) for i in range(THREADS)]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _call(self, i: int) -> None:
        with connected(self._address) as stubs:
            while not self._stop.is_set():
                try:
                    assert stubs.lookup(hash_type=1, hashes=self._hashes).matches
                    self.answered[i] += 1
                except grpc.RpcError as error:
                    self.failed.append(f"{error.code()}: {error.details()}")

    def go_on(self, calls: int = 200) -> None:
        """Wait for so many answers more."""
        before = sum(self.answered)
        eventually(lambda: sum(self.answered) >= before + calls or self.failed)


def kill(server: Running) -> None:
    """Kill a server and its workers at once."""
    processes = {server.process.pid, *descendants(server.process.pid)}
    for process_id in processes:
        os.kill(process_id, signal.SIGKILL)
    server.process.wait(10)
    eventually(lambda: not any(map(alive, processes)))


@contextmanager
def stalled(server: Running) -> Iterator[None]:
    """Have a server's processes stand still."""
    processes = [server.process.pid, *descendants(server.process.pid)]
    for process_id in processes:
        os.kill(process_id, signal.SIGSTOP)
    try:
        yield
    finally:
        for process_id in processes:
            os.kill(process_id, signal.SIGCONT)


@pytest.fixture
def lists(tmp_path) -> list[Path]:
    """Two data directories with the same list, as two servers have."""
    write_sample(tmp_path / "first", make_sample(per_type=20))
    return [tmp_path / "first", shutil.copytree(tmp_path / "first", tmp_path / "second")]


def test_the_configuration_is_valid():
    done = subprocess.run([ENVOY, "--mode", "validate", "-c", CONFIG], capture_output=True, text=True, check=False)
    assert (done.returncode, "OK" in done.stdout) == (0, True), done.stderr


def test_no_lookup_fails_while_a_server_drains_and_later_stalls_as_the_other_one_dies(tmp_path, lists):
    (query,) = make_sample(per_type=20).hashes(HASH_TYPES["phash64"], NARROW)[:1]
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(serving(tmp_path / f"server-{data.name}", data, "--set", "server.drain_delay_s=2"))
            for data in lists
        )
        proxy = stack.enter_context(envoy(tmp_path, [first.port, second.port]))
        eventually(lambda: all(host["healthy"] for host in proxy.hosts().values()))
        with Callers(proxy.address, query) as callers:
            callers.go_on()
            shares = [host["calls"] / sum(callers.answered) for host in proxy.hosts().values()]
            # Round robin of calls, though each caller has one connection.
            assert all(0.4 < share < 0.8 for share in shares), shares
            first.stop()
            callers.go_on()
            assert [host["healthy"] for host in proxy.hosts().values()] == [False, True]
            # It was told before calls were refused.
            assert proxy.count("upstream_rq_retry") == 0
            first = stack.enter_context(serving(tmp_path / "again", lists[0], listen=first.address))
            eventually(lambda: proxy.hosts()[first.port]["healthy"])
            callers.go_on()
            late = proxy.count("health_check.failure")
            with stalled(first):
                eventually(lambda: proxy.count("health_check.failure") > late)
                kill(second)
            callers.go_on()
            eventually(lambda: not proxy.hosts()[second.port]["healthy"])
            callers.go_on()
    assert callers.failed == []
