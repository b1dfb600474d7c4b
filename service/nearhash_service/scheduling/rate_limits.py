"""Callers' limits in queries per second, over all workers.

Each caller has a bucket of tokens that fills at its rate and holds what one second brings. A lookup needs a token, and
takes one for each of its hashes: a batch larger than the bucket leaves a debt, which the caller waits off. So batches
of any size pass, and the rate holds.

The bucket is one number, the time at which the debt is paid: 8 bytes in a file of the caller's name, mapped by all
workers. Two that write at the same instant may lose one of the writes, and a worker killed with a lock would stop all
others: so there is none between processes.
"""

from __future__ import annotations

import mmap
import shutil
import struct
import threading
from contextlib import suppress
from pathlib import Path
from time import monotonic

__all__ = ["RateLimits"]

_BURST_S = 1.0
_TIME = struct.Struct("=d")


class RateLimits:
    """The buckets of all callers.

    Parameters
    ----------
    data : Path
        The data directory.
    """

    def __init__(self, data: Path) -> None:
        self._folder = data / "limits"
        self._buckets: dict[str, mmap.mmap] = {}
        self._lock = threading.Lock()

    def reset(self) -> None:
        """Fill all buckets. For a start: the times in the files are those since the machine's."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def take(self, caller: str, queries: int, per_second: float) -> float:
        """Take tokens out of a caller's bucket.

        Returns
        -------
        float
            0 if there was one; otherwise the seconds until there is, and nothing is taken.
        """
        with self._lock:
            bucket = self._bucket(caller)
            now_s = monotonic()
            paid_s: float = max(_TIME.unpack_from(bucket)[0], now_s - _BURST_S)
            if paid_s > now_s:
                return paid_s - now_s
            _TIME.pack_into(bucket, 0, paid_s + queries / per_second)
            return 0.0

    def _bucket(self, caller: str) -> mmap.mmap:
        if caller not in self._buckets:
            try:
                self._buckets[caller] = self._shared(caller)
            except OSError:
                # The disk takes no changes: better that each worker counts by itself than that lookups fail.
                self._buckets[caller] = mmap.mmap(-1, _TIME.size)
        return self._buckets[caller]

    def _shared(self, caller: str) -> mmap.mmap:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._folder / caller
        with suppress(FileExistsError), path.open("xb") as new:
            new.write(_TIME.pack(0.0))
        with path.open("r+b") as file:
            return mmap.mmap(file.fileno(), _TIME.size)
