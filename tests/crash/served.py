"""A server in a process of its own, whose disk fails when told.

    python served.py DATA ADDRESS

It reads lines: the number of an error, with which every change of a file fails from there on; 0: none does.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import failing_disk

from nearhash_index.store import DataDirectory
from nearhash_service.answering.worker_board import WorkerBoard
from nearhash_service.server import Server


def serve(data: Path, address: str) -> None:
    with Server(DataDirectory(data), address, board=WorkerBoard(data)):
        print("serving", flush=True)  # noqa: T201
        for line in sys.stdin:
            error = int(line)
            failing_disk.fail(data, at=1 if error else 0, error=error)
            # The processes that it starts to build have the same disk.
            os.environ["DISK_FAILS"] = f"{error} {data}" if error else ""
            print("told", flush=True)  # noqa: T201


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2])
