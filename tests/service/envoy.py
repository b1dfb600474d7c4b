"""A real Envoy in front of servers, with the configuration that we ship."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import sleep

from .running import eventually

CONFIG = Path(__file__).parents[2] / "service" / "deploy" / "envoy.yaml"
ENVOY = Path(sys.executable).parent / "envoy"


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
        """Return a count."""
        counts = {item["name"]: item["value"] for item in self.asked("stats")["stats"] if "name" in item}
        return counts[name]

    def percentile_ms(self, percentile: int) -> float:
        """Return a percentile of what calls took that were sent to servers, of the last five seconds that it took."""
        (told,) = (item["histograms"] for item in self.asked("stats")["stats"] if "histograms" in item)
        at = told["supported_quantiles"].index(percentile)
        name = "cluster.nearhash.upstream_rq_time"
        (values,) = (item["values"] for item in told["computed_quantiles"] if item["name"] == name)
        return values[at]["interval"]

    def let_all_through(self) -> None:
        """Switch off that small lookups are refused when too many are under way."""
        url = f"http://{self.admin}/runtime_modify?nearhash.bound_lookups=false"
        with urllib.request.urlopen(url, data=b"", timeout=10) as answer:
            assert answer.status == 200
        # It is told its threads after the answer: a call that comes before they know is not counted.
        sleep(0.2)

    def asked(self, what: str) -> dict[str, object]:
        with urllib.request.urlopen(f"http://{self.admin}/{what}?format=json", timeout=10) as answer:
            return json.load(answer)


@contextmanager
def envoy(folder: Path, ports: Sequence[int], *, wrapper: Sequence[str] = ()) -> Iterator[Envoy]:
    """Run Envoy in front of servers of one worker each, and wait until it finds all of them healthy.

    A wrapper is a command that runs another one.
    """
    config, admin = folder / "envoy.yaml", folder / "admin"
    config.write_text(_configuration(ports))
    command = [*wrapper, ENVOY, "-c", config]
    options = ["--concurrency", "1", "--disable-hot-restart", "--admin-address-path", admin, "--log-level", "warning"]
    with (folder / "envoy.log").open("wb") as log:
        process = subprocess.Popen([*command, *options], stderr=log)
    try:
        eventually(lambda: admin.exists() and admin.read_text(), seen=folder / "envoy.log")
        running = Envoy(admin.read_text(), "")
        listening = eventually(lambda: running.asked("listeners").get("listener_statuses"))
        port = listening[0]["local_address"]["socket_address"]["port_value"]
        running.address = f"127.0.0.1:{port}"
        eventually(lambda: all(host["healthy"] for host in running.hosts().values()))
        yield running
    finally:
        process.terminate()
        process.wait(20)


def _configuration(ports: Sequence[int]) -> str:
    """Return what is shipped, but for the ports, and what the file says is for so many workers."""
    text = CONFIG.read_text()
    first = next(line for line in text.splitlines(keepends=True) if "port_value: 50051 " in line)
    shipped = [first.replace("50051", str(port)) for port in (50051, 50052)]
    replaced = [
        ("".join(shipped), "".join(first.replace("50051", str(port)) for port in ports)),
        *((f"port_value: {port} ", "port_value: 0 ") for port in (50050, 9901)),
        *(
            (f"{name}: {of_shipped}", f"{name}: {of_shipped * len(ports) // len(shipped)}")
            for name, of_shipped in (("min_concurrency", 64), ("max_concurrency_limit", 2000))
        ),
    ]
    for old, new in replaced:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text
