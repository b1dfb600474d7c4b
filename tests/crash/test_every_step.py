"""Killed before every single step that changes a file, or with a disk that fails from there on: nothing is lost."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from time import time
from typing import NamedTuple

import numpy as np
import pytest

from nearhash_index.codes import codes_from_bytes
from nearhash_index.entries import Entry, EntryKey, EntryState, Hash
from nearhash_index.errors import NotADataDirectory, NotPublished
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import Current, DataDirectory, Generation, Registry, publish
from nearhash_index.store.changes import Author, Upsert

from . import failing_disk
from .stages import BANK, KEPT, ROWS, STAGES

MD5 = HASH_TYPES["md5"]
REPEATED = {"publish", "publish again"}
"""Stages whose steps are among those of another one."""
ACKNOWLEDGEABLE = {0, 1, 101, 201, 251, 351, 451, 501, 502, 503}
"""Sequences between transactions: of the bank, of two imports, of a withdrawal and a disabling."""
ALL_DIGESTS = [version.to_bytes(8) + number.to_bytes(8) for version in (1, 2) for number in range(ROWS)]


def matching_at(sequence: int) -> list[tuple[str, bytes]]:
    """Return the id and hash of each entry that matches at a sequence: the model."""
    first, second = sequence - 1, sequence - 1 - ROWS
    versions = {i: 2 if i < second else 1 for i in range(min(max(first, 0), ROWS))}
    for number, gone_from in ((7, 502), (8, 503)):
        if sequence >= gone_from:
            del versions[number]
    return [(f"{number:04}", version.to_bytes(8) + number.to_bytes(8)) for number, version in versions.items()]


class Told(NamedTuple):
    """What a process said before its end."""

    sequence: int
    generation: int
    steps: int
    refused: str
    killed: bool


class Process:
    """Does stages on a failing disk, each in a fork."""

    def __init__(self, library: Path, data: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("stages.py")), str(data)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=failing_disk.preloaded(library),
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line == "ready\n":
                break

    def do(self, stage: str, at: int = 0, error: int = 0, *, tear: bool = False) -> Told:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{stage},{at},{error},{tear}\n")
        self._process.stdin.flush()
        told = Told(0, 0, 0, "", killed=False)
        for line in self._process.stdout:
            match line.split(maxsplit=2):
                case ["done", sequence, generation]:
                    told = told._replace(sequence=int(sequence), generation=int(generation))
                case ["steps", steps]:
                    told = told._replace(steps=int(steps))
                case ["refused", *why]:
                    told = told._replace(refused=" ".join(why).strip())
                case ["ended", status]:
                    assert status in ("0", "-9"), told
                    return told._replace(killed=status == "-9")
                case _:
                    pytest.fail(f"{stage}, step {at}: {line}")
        pytest.fail("the process has ended")

    def close(self) -> None:
        self._process.communicate(timeout=30)
        assert self._process.returncode == 0


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    # In memory where there is such a folder: a kill tells nothing about fsync, so nobody need wait for it.
    memory = Path("/dev/shm")  # noqa: S108
    with tempfile.TemporaryDirectory(prefix="nearhash-", dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder) / "data"


@pytest.fixture(scope="module")
def process(data: Path) -> Iterator[Process]:
    started = Process(failing_disk.compiled(data.parent), data)
    yield started
    started.close()


class Stage(NamedTuple):
    """A stage on a disk that works.

    Attributes
    ----------
    before : Path
        The data directory before it.
    current, current_after : Current, optional
    """

    before: Path
    steps: int
    sequence: int
    current: Current | None
    sequence_after: int
    current_after: Current | None


@pytest.fixture(scope="module")
def stages(data: Path, process: Process) -> dict[str, Stage]:
    found = {}
    for name in STAGES:
        before = data.parent / f"before {name}"
        if data.exists():
            shutil.copytree(data, before)
        sequence, current = sequence_of(data), current_of(data)
        told = process.do(name)
        assert told.steps
        found[name] = Stage(before, told.steps, sequence, current, sequence_of(data), current_of(data))
        check(data, found[name], told)
    return found


def sequence_of(data: Path) -> int:
    if not data.exists():
        return 0
    with Registry(DataDirectory(data)) as registry:
        return registry.sequence()


def current_of(data: Path) -> Current | None:
    with suppress(NotPublished, NotADataDirectory):
        return DataDirectory(data).current()
    return None


def check(data: Path, stage: Stage, told: Told) -> None:
    """Fail unless registry, generations and CURRENT are whole, and have what was acknowledged."""
    least = stage.sequence if told.killed else stage.sequence_after
    directory = DataDirectory(data)
    with Registry(directory) as registry, registry.snapshot() as snapshot:
        sequence = snapshot.sequence
        assert sequence in ACKNOWLEDGEABLE
        assert max(told.sequence, least) <= sequence <= stage.sequence_after
        for bank in snapshot.banks:
            stored = list(snapshot.entries(bank.name))
            live = [each for each in stored if each.matches_at(time())]
            assert [(e.entry.key.entry_id, e.entry.hashes[0].value) for e in live] == matching_at(sequence)
            assert bank.entry_count == len(live) + (sequence >= 503)
            withdrawn = [each.entry for each in stored if each.state == EntryState.WITHDRAWN]
            assert [(e.key.entry_id, e.hashes) for e in withdrawn] == ([("0007", ())] if sequence >= 502 else [])
    current = current_of(data)
    numbers = directory.generation_numbers()
    if told.killed:
        assert current in {stage.current, stage.current_after}
    elif current != stage.current_after:
        assert stage.current_after
        # It failed when only the choice was missing, and the next build got the next number.
        assert told.refused
        assert current == Current(numbers[0]) == Current(stage.current_after.number + 1)
        assert stage.current_after.number not in numbers, "it was never served, and is of no use"
    assert current is None or current.number in numbers
    # A build that was killed before its generation was chosen leaves one that nobody can choose by going back.
    known = [number for number in numbers if current is not None and (current.pinned or number <= current.number)]
    assert directory.served_generation_numbers() == known
    for number in numbers:
        check_generation(Generation.open(directory.generation_path(number)))


def check_generation(generation: Generation) -> None:
    sequence = generation.manifest.sequence
    assert sequence in ACKNOWLEDGEABLE | {504}
    segment = generation.segments["md5"]
    found = segment.index.search(codes_from_bytes(b"".join(ALL_DIGESTS), MD5), 0)
    rows = segment.entry[found.row]
    ids = [generation.entries.entry_id(int(row)) for row in rows]
    assert sorted(zip(ids, [ALL_DIGESTS[i] for i in found.query], strict=True)) == matching_at(min(sequence, 503))


def check_next_build(data: Path) -> None:
    """Fail unless a build brings everything into a generation, and leaves nothing else."""
    directory = DataDirectory(data)
    with Registry(directory) as registry:
        if not registry.banks():
            registry.create_bank(BANK, {}, author=Author("a tester"))
        extra = Entry(EntryKey("extra", "local"), (Hash(MD5, b"\xff" * 15 + b"\1"),))
        sequence = registry.apply(BANK, [Upsert(extra)], Author("a tester")).sequence
    current = current_of(data)
    if current is not None and current.pinned:
        directory.set_current(Current(current.number))
    manifest = publish(data, KEPT)
    assert (manifest.sequence, directory.current()) == (sequence, Current(manifest.number))
    assert len(directory.generation_numbers()) <= KEPT + 1
    names = {entry.name for entry in data.iterdir()}
    assert names == {"CURRENT", "FORMAT", "PUBLISH.lock", "generations", "registry"}
    segment = Generation.open(directory.generation_path(manifest.number)).segments["md5"]
    assert len(segment.index) == len(matching_at(sequence - 1)) + 1


def begin(data: Path, stage: Stage) -> None:
    shutil.rmtree(data, ignore_errors=True)
    if stage.before.exists():
        shutil.copytree(stage.before, data)


def do_all(
    data: Path, process: Process, stages: dict[str, Stage], chosen: Iterable[tuple[str, int]], error: int, *, tear: bool
) -> list[Told]:
    """Fail at each chosen step of a stage, and check what is there then."""
    every = []
    for name, at in chosen:
        begin(data, stages[name])
        told = process.do(name, at, error, tear=tear)
        if name == "create" and told.killed:
            # Whatever it left, a data directory can be created there.
            process.do("create")
        check(data, stages[name], told)
        check_next_build(data)
        every.append(told)
    return every


def every_step(stages: dict[str, Stage]) -> list[tuple[str, int]]:
    return [(name, at) for name, stage in stages.items() for at in range(1, stage.steps + 1)]


def tell(capsys: pytest.CaptureFixture[str], what: str) -> None:
    with capsys.disabled(), suppress(BrokenPipeError):
        print(f"\n  {what}")  # noqa: T201


def test_killed_before_every_step(data: Path, process: Process, stages: dict[str, Stage], capsys) -> None:
    chosen = [step for step in every_step(stages) if step[0] not in REPEATED]
    ends = do_all(data, process, stages, chosen, 0, tear=False)
    assert all(told.killed for told in ends)
    tell(capsys, f"killed before each of {len(ends)} steps of 7 operations: nothing acknowledged was lost")


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_killed_amid_every_write(data: Path, process: Process, stages: dict[str, Stage], capsys) -> None:
    ends = do_all(data, process, stages, every_step(stages), 0, tear=True)
    assert all(told.killed for told in ends)
    tell(capsys, f"killed at each of {len(ends)} steps, large writes half done: nothing acknowledged was lost")


@pytest.mark.parametrize("share", [0.07, pytest.param(1, marks=[pytest.mark.long, pytest.mark.timeout(1800)])])
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EIO], ids=errno.errorcode.get)
def test_disk_that_fails_from_a_step_on(
    data: Path, process: Process, stages: dict[str, Stage], error: int, share: float, capsys
) -> None:
    steps = every_step(stages)
    chosen = np.random.default_rng(error).choice(len(steps), round(share * len(steps)), replace=False)
    ends = do_all(data, process, stages, [steps[i] for i in chosen], error, tear=True)
    refused = sum(bool(told.refused) for told in ends)
    assert refused > len(ends) / 2
    for told in ends:
        assert not told.refused or os.strerror(error) in told.refused
    tell(capsys, f"{errno.errorcode[error]} from {len(ends)} steps on: {refused} refused, nothing half done")
