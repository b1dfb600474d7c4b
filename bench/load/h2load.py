"""A generator that is not ours: h2load of nghttp2 (Debian: apt-get install nghttp2-client).

    python -m bench.load.h2load 127.0.0.1:50051 phash64-1e7

h2load sends one and the same body, and counts every HTTP 200 as a success, which gRPC's errors are, too. So a call with
the same body is made first, and its grpc-status checked.
"""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
from bench.load.calls import LOOKUP
from bench.load.listed import named
from bench.load.serving import pinned

__all__ = ["available", "h2load_grpc", "h2load_http"]


def available() -> bool:
    """Tell whether h2load is installed."""
    return shutil.which("h2load") is not None


def h2load_grpc(
    addresses: Sequence[str],
    method: str,
    request: bytes,
    *,
    calls: int,
    clients: int = 4,
    streams: int = 4,
    calls_per_s: float | None = None,
    cpus: Sequence[int] = (),
) -> float:
    """Return calls per second, with so many connections and calls under way on each, and no more calls a second.

    Connections are shared out evenly over the addresses: a process of h2load for each, all at once.

    Raises
    ------
    grpc.RpcError
        If the call is not answered OK.
    """
    for address in addresses:
        with grpc.insecure_channel(address) as channel:
            channel.unary_unary(method)(request, timeout=10)
    with tempfile.NamedTemporaryFile() as body:
        # gRPC's frame: not compressed, length, message.
        body.write(struct.pack(">BI", 0, len(request)) + request)
        body.flush()
        options = ["-H", "content-type: application/grpc", "-H", "te: trailers", "-d", body.name, "-m", str(streams)]
        if calls_per_s is not None:
            options += ["--rps", str(round(calls_per_s / clients))]

        def load(address: str) -> float:
            share = len(addresses)
            return _rate([f"http://{address}{method}", *options], calls // share, clients // share, cpus)

        with ThreadPoolExecutor(len(addresses)) as pool:
            return sum(pool.map(load, addresses))


def h2load_http(urls: Sequence[str], *, calls: int, clients: int = 16, cpus: Sequence[int] = ()) -> float:
    """Return requests per second over HTTP/1.1, each connection going round the URLs."""
    with tempfile.NamedTemporaryFile("w") as listed:
        listed.write("\n".join(urls))
        listed.flush()
        return _rate(["--h1", "-i", listed.name], calls, clients, cpus)


def _rate(arguments: list[str], calls: int, clients: int, cpus: Sequence[int]) -> float:
    command = pinned(["h2load", "-n", str(calls), "-c", str(clients), *arguments], cpus)
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    succeeded = re.search(r"(\d+) succeeded", told)
    rate = re.search(r"finished in .*?, ([\d.]+) req/s", told)
    if rate is None or succeeded is None or int(succeeded[1]) != calls:
        raise RuntimeError(f"not every request succeeded:\n{told}")
    return float(rate[1])


if __name__ == "__main__":
    target, name = sys.argv[1:]
    (single,) = named(name).requests(1, 1, seed=1)
    print(f"{h2load_grpc([target], LOOKUP, single, calls=20_000):,.0f} lookups per second")
