"""Published lists to serve, kept in bench/results, and requests for them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bench.measure import RESULTS
from numpy.typing import NDArray

from nearhash.v1 import lookup_pb2
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import DataDirectory

SEED = 7
BANK = "large"
_ROWS_PER_WRITE = 100_000


@dataclass(frozen=True)
class Listed:
    """A bank with n random hashes of one type, one per entry, under the type's own radius."""

    hash_type: str
    n: int

    @property
    def name(self) -> str:
        """Name it in records: phash64-1e7."""
        return f"{self.hash_type}-1e{len(str(self.n)) - 1}"

    @property
    def radius(self) -> int:
        """The bank's radius in bits, inclusive."""
        return HASH_TYPES[self.hash_type].default_radius

    def hashes(self) -> NDArray[np.uint8]:
        """Return the hashes, uint8[n, bytes of one]."""
        return _random(np.random.default_rng(SEED), self.n, self.hash_type)

    def published(self) -> Path:
        """Return a data directory that holds the list; the command makes it if there is none yet."""
        data = RESULTS / "load" / self.name
        if data.exists():
            _read_anew(DataDirectory(data))
            return data
        making = data.with_suffix(".making")
        shutil.rmtree(making, ignore_errors=True)
        making.parent.mkdir(parents=True, exist_ok=True)
        csv = data.with_suffix(".csv")
        self._write_csv(csv)
        _nearhash("bank", "create", BANK, "--data", making)
        _nearhash("import", BANK, csv, "--data", making)
        _nearhash("publish", "--data", making)
        csv.unlink()
        return making.rename(data)

    def queries(self, count: int, seed: int) -> NDArray[np.uint8]:
        """Return random hashes, one in sixteen of them a listed one with as many bits flipped as the radius allows."""
        rng = np.random.default_rng([SEED, seed])
        queries = _random(rng, count, self.hash_type)
        planted = queries[::16]
        listed = self.hashes()[rng.integers(0, self.n, len(planted))]
        flips = np.zeros((len(planted), listed.shape[1] * 8), dtype=np.uint8)
        chosen = np.argsort(rng.random(flips.shape), axis=1)[:, : self.radius]
        np.put_along_axis(flips, chosen, 1, axis=1)
        planted[:] = listed ^ np.packbits(flips, axis=1)
        return queries

    def requests(self, count: int, batch: int, seed: int) -> list[bytes]:
        """Return that many serialised requests of `batch` hashes each."""
        queries = self.queries(count * batch, seed).reshape(count, -1)
        number = HASH_TYPES[self.hash_type].number
        return [
            lookup_pb2.LookupRequest(
                hash_type=lookup_pb2.HashType.ValueType(number), hashes=row.tobytes()
            ).SerializeToString()
            for row in queries
        ]

    def _write_csv(self, path: Path) -> None:
        width = HASH_TYPES[self.hash_type].size_bytes * 2
        digits = self.hashes().tobytes().hex()
        with path.open("w") as file:
            file.write("hash,hash_type,entry_id\n")
            file.writelines(
                f"{digits[i * width : (i + 1) * width]},{self.hash_type},entry-{i:09}\n" for i in range(self.n)
            )


def named(name: str) -> Listed:
    """Return the list of a name in records."""
    hash_type, n = name.split("-")
    return Listed(hash_type, int(float(n)))


def _random(rng: np.random.Generator, n: int, hash_type: str) -> NDArray[np.uint8]:
    return rng.integers(0, 256, (n, HASH_TYPES[hash_type].size_bytes), dtype=np.uint8)


def _read_anew(directory: DataDirectory) -> None:
    """Let what is served lie in the page cache as when it has just been published.

    Linux may split the large pages of files that nobody reads for a while (DAMON), and then a search takes a tenth
    longer until they are read anew.
    """
    with (directory.generation_path(directory.current().number) / "data.mdb").open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while file.read(1 << 24):
            pass


def _nearhash(*arguments: str | Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "nearhash_service", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL
    )
