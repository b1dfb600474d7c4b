"""What the shim in HMA's form answers per second, beside the server that it asks.

    python -m bench.hma_shim [LIST]

One worker, one shim and h2load share the cores. Single PDQ hashes over connections that are kept, by HTTP through the
shim and by gRPC from the server itself; and photographs of half a megapixel, which the shim hashes, posted by threads.
Prints a table, and keeps it with the machine in bench/records/hma-shim.json.
"""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

from bench.hashing import files
from bench.load.calls import LOOKUP
from bench.load.h2load import h2load_grpc, h2load_http
from bench.load.listed import named
from bench.load.serving import serving
from bench.measure import save
from rich.console import Console

from nearhash_service.cli.printing import table

CONNECTIONS = (1, 16, 64)
CALLS = 6_000
UPLOADS = 200
UPLOADERS = 4


def main(name: str = "pdq256-1e5") -> None:
    listed = named(name)
    (signal,) = listed.queries(2, seed=3)[1:]
    (_, request) = listed.requests(2, 1, seed=3)
    rows = []
    with serving(listed.published(), workers=1) as server, shim(server.addresses[0]) as url:
        lookup = f"{url}/m/raw_lookup?signal={signal.tobytes().hex()}&signal_type=pdq"
        for clients in CONNECTIONS:
            for round_calls in (CALLS // 10, CALLS):  # The first warms up.
                by_http = h2load_http([lookup], calls=round_calls, clients=clients)
                by_grpc = h2load_grpc(server.addresses, LOOKUP, request, calls=round_calls, clients=clients, streams=1)
            rows.append({"connections": clients, "http_per_s": by_http, "grpc_per_s": by_grpc})
        uploads_per_s = posted(url, files(724))
    shown = table("connections", "HTTP, lookups/s", "gRPC, lookups/s", right=("HTTP, lookups/s", "gRPC, lookups/s"))
    for row in rows:
        shown.add_row(*(f"{value:,.0f}" for value in row.values()))
    Console().print(shown)
    print(f"photographs: {uploads_per_s:.0f} per second from {UPLOADERS} connections")
    record = {"list": name, "workers": 1, "lookups": rows, "uploads_per_s": uploads_per_s, "uploaders": UPLOADERS}
    print("wrote", save("hma-shim", record))


@contextmanager
def shim(target: str) -> Iterator[str]:
    """Run `nearhash-hma`; yield its URL."""
    command = [sys.executable, "-m", "nearhash_hma", "--target", target, "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = re.search(r" at (\S+)$", process.stdout.readline())
            assert address is not None, "the shim did not start"
            yield f"http://{address[1]}"
        finally:
            process.terminate()


def posted(url: str, photographs: list[bytes]) -> float:
    """Return how many photographs a second are hashed and looked up, after some that are not counted."""
    with ThreadPoolExecutor(UPLOADERS) as threads:
        list(threads.map(lambda _: post(url, photographs, 4), range(UPLOADERS)))
        start_s = time.perf_counter()
        list(threads.map(lambda _: post(url, photographs, UPLOADS // UPLOADERS), range(UPLOADERS)))
        return UPLOADS / (time.perf_counter() - start_s)


def post(url: str, photographs: list[bytes], count: int) -> None:
    """Post photographs over one connection, as a form has them."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    head = (
        '--part\r\ncontent-disposition: form-data; name="photo"; filename="a.jpg"\r\ncontent-type: image/jpeg\r\n\r\n'
    )
    for i in range(count):
        body = head.encode() + photographs[i % len(photographs)] + b"\r\n--part--\r\n"
        connection.request("POST", "/m/lookup", body, {"content-type": "multipart/form-data; boundary=part"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
    connection.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
