"""Load a server in every way that bench/LOAD.md tells of, and write that page.

    python -m bench.load [SCENARIO ...]

Without names, all run. Each keeps its record in bench/records/load-SCENARIO.json.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from bench.load import report
from bench.load.flood import flood
from bench.load.http_peer import http_peer
from bench.load.listed import Listed
from bench.load.overload import overload
from bench.load.reloads import reloads
from bench.load.starting import starting
from bench.load.steady import BATCH, steady
from bench.measure import save

SMALL, LARGE = Listed("phash64", 10**5), Listed("phash64", 10**7)
SMALL_PDQ, LARGE_PDQ = Listed("pdq256", 10**5), Listed("pdq256", 10**7)
# What a worker of the HTTP peer holds in its own memory.
PEER_PDQ = Listed("pdq256", 10**6)

SCENARIOS: dict[str, Callable[[], dict[str, Any]]] = {
    f"{listed.name}-workers-{workers}": lambda listed=listed, workers=workers: steady(listed, workers)
    for listed in (SMALL, LARGE, SMALL_PDQ, LARGE_PDQ)
    for workers in (1, 2)
}
SCENARIOS |= {
    "reloads-phash64-1e5": lambda: reloads(SMALL, seconds=3.0),
    "reloads-phash64-1e7": lambda: reloads(LARGE, seconds=6.0),
    "overload-phash64-1e7": lambda: overload(LARGE, BATCH),
    "overload-phash64-1e7-batch-128": lambda: overload(LARGE, 128),
    # As near to single hashes as a generator in Python comes on one core.
    "overload-phash64-1e7-batch-16": lambda: overload(LARGE, 16),
    "overload-phash64-1e7-impatient": lambda: overload(LARGE, 16, times=2, deadline_s=0.3, connections=32),
    "overload-phash64-1e7-batch-1024-envoy": lambda: overload(LARGE, BATCH, proxied=True),
    "overload-phash64-1e7-batch-128-envoy": lambda: overload(LARGE, 128, proxied=True),
    "flood-phash64-1e7": lambda: flood(LARGE, 1),
    "flood-phash64-1e7-batch-16": lambda: flood(LARGE, 16),
    "start-phash64-1e7": lambda: starting(LARGE),
    "http-peer-pdq256-1e6": lambda: http_peer(PEER_PDQ),
}


def main(names: list[str]) -> None:
    """Run the scenarios of these names, or all, and write the page."""
    unknown = set(names) - set(SCENARIOS)
    if unknown:
        sys.exit(f"{', '.join(sorted(unknown))}: no such scenario; there are {', '.join(SCENARIOS)}")
    for name in names or SCENARIOS:
        print(name, flush=True)
        save(f"load-{name}", {"scenario": name, **SCENARIOS[name]()})
    report.main()


if __name__ == "__main__":
    main(sys.argv[1:])
