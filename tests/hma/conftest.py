"""A shim in a process of its own, before a server with photographs on its lists."""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from nearhash.v1 import banks_pb2
from nearhash_client.hashing import compute
from nearhash_index.hash_types import HASH_TYPES

from ..demo.photographs import photographs
from ..service.running import BIN, Running, connected, serving

MAX_FILE_BYTES = 400_000
VIDEO = b"not really a video, but a file"


@dataclass
class Shim:
    """A running `nearhash-hma`."""

    process: subprocess.Popen[str]
    url: str

    def stop(self) -> str:
        """End it and return what it has printed since it serves."""
        self.process.terminate()
        return self.process.communicate(timeout=20)[0]


@contextmanager
def running_shim(target: str, *arguments: str | Path, scheme: str = "http") -> Iterator[Shim]:
    command = [str(BIN / "nearhash-hma"), "--target", target, "--listen", "127.0.0.1:0", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            printed = process.stdout.readline()
            address = re.search(r" at (\S+)$", printed)
            assert address, printed + process.stdout.read()
            yield Shim(process, f"{scheme}://{address[1]}")
        finally:
            # Not by SIGTERM: it would wait for connections that a client left open.
            process.kill()


def jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=60)
    return file.getvalue()


def pdq_of(image: Image.Image) -> str:
    return compute(image, ["pdq256"])[0].hex


@pytest.fixture(scope="session")
def images() -> dict[str, Image.Image]:
    return dict(photographs())


@pytest.fixture(scope="session")
def server(tmp_path_factory, images) -> Iterator[Running]:
    """Bank `numbered` has entry 1, 2, ... for each photograph; `named` the same of the cat, and a file's MD5."""
    folder = tmp_path_factory.mktemp("hma")
    with serving(folder, folder / "data") as running, connected(running.address) as stubs:
        numbered = {str(number): ("pdq256", pdq_of(image)) for number, image in enumerate(images.values(), start=1)}
        named = {
            "cat [1]": ("pdq256", pdq_of(images["chelsea"])),
            "file": ("md5", hashlib.md5(VIDEO, usedforsecurity=False).hexdigest()),
        }
        for name, entries in (("numbered", numbered), ("named", named)):
            stubs.banks.CreateBank(banks_pb2.CreateBankRequest(name=name))
            changes = [_upsert(entry_id, *item) for entry_id, item in entries.items()]
            stubs.banks.ApplyChanges(banks_pb2.ApplyChangesRequest(bank=name, changes=changes))
        stubs.publish()
        yield running


def _upsert(entry_id: str, hash_type: str, digits: str) -> banks_pb2.Change:
    value = banks_pb2.Hash(hash_type=HASH_TYPES[hash_type].number, value=bytes.fromhex(digits))
    key = banks_pb2.EntryKey(source="local", entry_id=entry_id)
    return banks_pb2.Change(upsert=banks_pb2.Entry(key=key, hashes=[value]))


@pytest.fixture(scope="session")
def shim(server) -> Iterator[Shim]:
    with running_shim(server.address, "--max-file-bytes", str(MAX_FILE_BYTES), "--max-pixels", "400000") as running:
        yield running
