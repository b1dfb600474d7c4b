"""Times, and the circumstances under which they were taken."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RECORDS = HERE / "records"
RESULTS = HERE / "results"
PACKAGES = (
    *("numpy", "numba", "llvmlite", "grpcio", "protobuf", "pillow", "ImageHash", "pdqhash"),
    *("faiss-cpu", "threatexchange", "usearch", "hexhamming", "flask", "gunicorn"),
)


def seconds(run: Callable[[], object]) -> float:
    """Return the time of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def rounds_us(runs: Mapping[str, tuple[Callable[[], object], int]], rounds: int = 5) -> dict[str, float]:
    """Time all runs in turn, several times, so that each meets the same noise.

    Parameters
    ----------
    runs : mapping of a name to (run, number of queries it answers)

    Returns
    -------
    dict of str to float
        Median time per query in microseconds.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, (run, queries) in runs.items():
            # Not timed: fetches the caches back from the others.
            run()
            times[name].append(seconds(run) / queries * 1e6)
    return {name: statistics.median(values) for name, values in times.items()}


def machine() -> dict[str, Any]:
    """Describe CPU, memory and versions."""
    cpu = subprocess.run(["lscpu", "-J"], capture_output=True, text=True, check=True)
    fields = {row["field"].rstrip(":"): row["data"] for row in json.loads(cpu.stdout)["lscpu"]}
    flags = fields.get("Flags", "").split()
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "cpu": fields.get("Model name"),
        "family": fields.get("CPU family"),
        "cpus": fields.get("CPU(s)"),
        "l2": fields.get("L2 cache"),
        "l3": fields.get("L3 cache"),
        "simd": [flag for flag in ("avx2", "avx512f", "avx512_vpopcntdq", "avx512_bitalg") if flag in flags],
        "python": platform.python_version(),
        "versions": versions,
    }


def save(name: str, record: Mapping[str, Any]) -> Path:
    """Write a record to bench/records, with the machine."""
    RECORDS.mkdir(exist_ok=True)
    path = RECORDS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **record}, indent=1) + "\n")
    return path
