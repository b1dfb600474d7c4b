"""A real server whose lists hold real photographs and a video."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nearhash_client import Client
from nearhash_client.hashing import ComputedHash, compute
from nearhash_client.hashing.video import compute_video
from nearhash_index.entries import Entry, EntryKey, Hash
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import DataDirectory, Registry, publish
from nearhash_index.store.changes import Author, Upsert
from nearhash_service.server import Server

from ..hashing import photographs
from ..hashing.test_video import encode, scenes

AUTHOR = Author("a tester")


def entry(entry_id: str, hashes: tuple[ComputedHash, ...], *labels: str) -> Upsert:
    stored = tuple(Hash(HASH_TYPES[item.hash_type], item.value) for item in hashes)
    return Upsert(Entry(EntryKey(entry_id, "local"), stored, labels))


@pytest.fixture(scope="module")
def clip() -> bytes:
    return encode(scenes())


@pytest.fixture(scope="module")
def target(tmp_path_factory, clip) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("matching")
    path = photographs.FOLDER
    directory = DataDirectory.create(folder / "data")
    with Registry(directory) as registry:
        for name in ("pictures", "strict", "videos"):
            registry.create_bank(name, {}, author=AUTHOR)
        registry.create_bank("known", {}, allowlist=True, author=AUTHOR)
        registry.apply(
            "pictures",
            [
                entry("chelsea", compute(path / "chelsea.png", ("phash64", "pdq256", "sha256")), "cat"),
                entry("coffee", compute(path / "coffee.png", ("phash64", "pdq256"))),
                entry("rocket", compute(path / "rocket.jpg", ("phash64", "pdq256"))),
            ],
            AUTHOR,
        )
        registry.apply("strict", [entry("cat", compute(path / "chelsea.png", ("pdq256",)))], AUTHOR)
        registry.apply("known", [entry("launch", compute(path / "rocket.jpg", ("md5",)))], AUTHOR)
        registry.apply(
            "videos", [entry("clip", compute_video(clip).hashes), entry("file", compute(clip, ("md5",)))], AUTHOR
        )
    publish(folder / "data")
    address = f"unix:{folder}/socket"
    with Server(DataDirectory(folder / "data"), address):
        yield address


@pytest.fixture(scope="module")
def client(target) -> Iterator[Client]:
    with Client(target) as opened:
        yield opened
