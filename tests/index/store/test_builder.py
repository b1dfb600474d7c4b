from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from nearhash_index.codes import codes_to_bytes
from nearhash_index.errors import NotPublished, Pinned
from nearhash_index.store import Current, DataDirectory, Generation, Registry, publish
from nearhash_index.store.builder import KEPT_GENERATIONS
from nearhash_index.store.changes import Remove, Upsert

from ..samples import AUTHOR, entry, random_entries, random_hash, upserts
from . import children
from .child import BANK, MD5, version

RNG = np.random.default_rng(1)


def change(path: Path, number: int = 0) -> None:
    """Make one change."""
    with Registry(DataDirectory(path)) as registry:
        if not registry.banks():
            registry.create_bank(BANK, {}, author=AUTHOR)
        registry.apply(BANK, [Upsert(entry("changing", random_hash(RNG), labels=(str(number),)))], AUTHOR)


def opened(path: Path) -> Generation:
    directory = DataDirectory(path)
    return Generation.open(directory.generation_path(directory.current().number))


def digests_of(generation: Generation) -> list[bytes]:
    planes = generation.segments["md5"].index.arrays()["planes"]
    packed = codes_to_bytes(planes.T, MD5)
    return [packed[i : i + 16] for i in range(0, len(packed), 16)]


def test_what_is_published_is_current_and_has_every_change(path: Path) -> None:
    change(path)
    manifest = publish(path)
    assert (manifest.number, manifest.sequence, manifest.entry_count) == (1, 2, 1)
    assert DataDirectory(path).current() == Current(1)
    assert opened(path).manifest == manifest


def test_publishing_without_changes_builds_nothing(path: Path) -> None:
    change(path)
    first = publish(path)
    before = {file: file.stat().st_mtime_ns for file in (path / "generations").rglob("*")}
    assert publish(path) == first
    assert {file: file.stat().st_mtime_ns for file in (path / "generations").rglob("*")} == before
    assert len(before) == 3


def test_numbers_grow(path: Path) -> None:
    for number in range(1, 4):
        change(path, number)
        assert publish(path).number == number
    # Also after a roll back to an earlier one.
    DataDirectory(path).set_current(Current(1))
    assert publish(path).number == 4


def test_a_pinned_generation_stays_until_it_is_released(path: Path) -> None:
    for number in (1, 2):
        change(path, number)
        publish(path)
    directory = DataDirectory(path)
    directory.set_current(Current(1, pinned=True))
    change(path, 3)
    with pytest.raises(Pinned, match="generation 1 is pinned by a roll back; release it first"):
        publish(path)
    assert (directory.current(), directory.generation_numbers()) == (Current(1, pinned=True), [2, 1])
    directory.set_current(Current(2))
    assert publish(path).number == 3


def test_a_removal_is_published(path: Path) -> None:
    with Registry(DataDirectory(path)) as registry:
        registry.create_bank(BANK, {}, author=AUTHOR)
        registry.apply(BANK, upserts(version(1, 3)), AUTHOR)
    publish(path)
    with Registry(DataDirectory(path)) as registry:
        registry.apply(BANK, [Remove(version(1, 3)[1].key)], AUTHOR)
    publish(path)
    assert digests_of(opened(path)) == [version(1, 3)[i].hashes[0].value for i in (0, 2)]


def test_the_newest_generations_and_the_current_one_are_kept(path: Path) -> None:
    for number in range(1, KEPT_GENERATIONS + 5):
        change(path, number)
        publish(path)
        numbers = DataDirectory(path).generation_numbers()
        assert numbers == list(range(number, max(0, number - KEPT_GENERATIONS - 1), -1))
    for number in numbers:
        assert Generation.open(DataDirectory(path).generation_path(number)).manifest.number == number
    assert not (path / "staging").exists()


def test_leftovers_of_a_killed_build_go(path: Path) -> None:
    left = path / "staging" / "000001"
    left.mkdir(parents=True)
    (left / "data.mdb").write_bytes(b"half a build")
    change(path)
    assert publish(path).number == 1
    assert sorted(entry.name for entry in path.iterdir()) == [
        "CURRENT",
        "FORMAT",
        "PUBLISH.lock",
        "generations",
        "registry",
    ]


@pytest.mark.parametrize("damaged", [1, 2])
def test_a_damaged_manifest_is_built_anew_from_the_registry(path: Path, damaged: int) -> None:
    for number in (1, 2):
        change(path, number)
        publish(path)
    manifest = DataDirectory(path).generation_path(damaged) / "MANIFEST.json"
    manifest.write_bytes(manifest.read_bytes()[:-20])
    change(path, 3)
    assert publish(path).number == 3
    assert opened(path).manifest.sequence == 4


@pytest.mark.parametrize("content", [b"garbage", b"000009\n"])
def test_an_unusable_current_is_replaced(path: Path, content: bytes) -> None:
    change(path)
    publish(path)
    (path / "CURRENT").write_bytes(content)
    assert publish(path).number == 2
    assert opened(path).manifest.number == 2


# What a process that is killed leaves.


def assert_whole(path: Path, applied: int, published: int, size: int) -> None:
    """Check that registry and generations hold one whole version each, not older than what was acknowledged."""
    with Registry(DataDirectory(path)) as registry:
        with registry.snapshot() as snapshot:
            entries = [stored.entry for stored in snapshot.entries(BANK)]
        assert entries in (version(applied, size), version(applied + 1, size))
        assert registry.banks()[0].entry_count == size
    directory = DataDirectory(path)
    for number in directory.generation_numbers():
        digests = digests_of(Generation.open(directory.generation_path(number)))
        held = int.from_bytes(digests[0][:8])
        assert digests == [each.hashes[0].value for each in version(held, size)]
        if number == directory.current().number:
            assert published <= held <= applied + 1


def kill_one_worker(driver: subprocess.Popen[str], first: int, after_s: float) -> tuple[int, int]:
    """Let a worker start, kill it, and return the versions that it last said were applied and published."""
    assert driver.stdin is not None
    assert driver.stdout is not None
    driver.stdin.write(f"{first}\n")
    driver.stdin.flush()
    applied = published = 0
    for line in driver.stdout:
        match line.split():
            case ["started", worker]:
                time.sleep(after_s)
                os.kill(int(worker), signal.SIGKILL)
            case ["applied", number]:
                applied = int(number)
            case ["published", number, _]:
                published = int(number)
            case ["ended", "9"]:
                break
            case _:
                pytest.fail(f"the worker said {line!r}")
    return applied, published


@pytest.mark.parametrize("kills", [20, pytest.param(500, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_processes_killed_at_any_moment_lose_nothing(path: Path, kills: int) -> None:
    size = 300
    rng = np.random.default_rng(kills)
    with Registry(DataDirectory(path)) as registry:
        registry.create_bank(BANK, {}, author=AUTHOR)
        registry.apply(BANK, upserts(version(0, size)), AUTHOR)
    publish(path)
    last_applied = last_published = killed_amid = 0
    longest_s = 0.15
    with children.start("fork_workers", path, size) as driver:
        for _ in range(kills):
            applied, published = kill_one_worker(driver, last_applied + 1, rng.uniform(0, longest_s))
            if not applied:
                longest_s *= 1.2  # a busy machine takes longer until anything is done
            last_applied, last_published = max(applied, last_applied), max(published, last_published)
            killed_amid += last_applied > last_published
            assert_whole(path, last_applied, last_published, size)
            with Registry(DataDirectory(path)) as registry, registry.snapshot() as snapshot:
                # The version that was applied and not acknowledged counts from here on.
                last_applied = int.from_bytes(next(snapshot.entries(BANK)).entry.hashes[0].value[:8])
        children.finish(driver)
    assert last_applied > kills / 2
    assert killed_amid > kills / 10
    manifest = publish(path)
    assert_whole(path, last_applied, last_applied, size)
    assert manifest.entry_count == size
    assert not (path / "staging").exists()


# Full disks.


def test_a_full_disk_leaves_the_registry_as_it_was(path: Path) -> None:
    change(path)
    data = DataDirectory(path).registry_path / "data.mdb"
    refused, unmoved, added = children.run("apply_on_full_disk", path, data.stat().st_size, 5000)
    assert refused.startswith("refused the registry could not be written, nothing was changed:")
    assert unmoved == "unmoved True"
    assert added == "added 5000"
    with Registry(DataDirectory(path)) as registry:
        assert (registry.banks()[0].entry_count, registry.sequence()) == (5001, 5002)


@pytest.mark.parametrize("size_bytes", [0, 5000, 100_000])
def test_a_full_disk_leaves_the_old_generation_published(path: Path, size_bytes: int) -> None:
    change(path)
    first = publish(path)
    with Registry(DataDirectory(path)) as registry:
        registry.apply(BANK, upserts(random_entries(20_000)), AUTHOR)
    (refused,) = children.run("publish_on_full_disk", path, size_bytes)
    assert refused.startswith("refused the generation could not be written, the old one stays published:")
    assert opened(path).manifest == first
    assert DataDirectory(path).generation_numbers() == [1]
    assert not (path / "staging").exists()
    assert publish(path).number == 2
    assert opened(path).manifest.entry_count == 20_001


def test_a_full_disk_at_the_first_publishing_leaves_nothing_published(path: Path) -> None:
    change(path)
    (refused,) = children.run("publish_on_full_disk", path, 5000)
    assert refused.startswith("refused ")
    with pytest.raises(NotPublished):
        DataDirectory(path).current()
    assert publish(path).number == 1
