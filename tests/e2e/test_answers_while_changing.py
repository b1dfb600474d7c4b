"""Entries change and generations flip under load: each answer is the one of the sequence that it states."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest

from nearhash_client import Client, NearHashError
from nearhash_index.entries import Hash
from nearhash_index.store import Current, DataDirectory, Registry, publish
from nearhash_index.store.changes import Remove, Upsert

from ..index.samples import AUTHOR, PHASH64, entry, near, random_entries, random_hash, upserts
from ..service.running import serving
from .test_hot_reload import FOLLOWING

BANK = "bank"
CHANGING = 40
CHANGES_PER_FLIP = 3
RNG = np.random.default_rng(11)
VARIANTS = [[random_hash(RNG), random_hash(RNG)] for _ in range(CHANGING)]
"""Each entry is absent, has its first hash, or its second one."""
QUERIES = [near(RNG, item, 3) for both in VARIANTS for item in both]
BACKGROUND = random_entries(2000, seed=12)


def distance(a: Hash, b: Hash) -> int:
    return (int.from_bytes(a.value) ^ int.from_bytes(b.value)).bit_count()


def matches_of(entry_id: str, item: Hash) -> list[tuple[int, int, str]]:
    found = ((query, distance(asked, item), entry_id) for query, asked in enumerate(QUERIES))
    return [match for match in found if match[1] <= PHASH64.default_radius]


ALWAYS = [match for each in BACKGROUND for match in matches_of(each.key.entry_id, each.hashes[0])]
OF_VARIANT = [[[], *(matches_of(f"changing-{i}", item) for item in both)] for i, both in enumerate(VARIANTS)]


class Oracle:
    """What entries there were at each sequence, told before the change is made."""

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence
        self.states: dict[int, tuple[int, ...]] = {sequence: (0,) * CHANGING}

    def next_change(self) -> Upsert | Remove:
        """Choose a change, and note what it makes of the entries."""
        state = list(self.states[self.sequence])
        i = int(RNG.integers(CHANGING))
        state[i] = (state[i] + int(RNG.integers(1, 3))) % 3
        self.sequence += 1
        self.states[self.sequence] = tuple(state)
        changed = entry(f"changing-{i}", VARIANTS[i][state[i] - 1])
        return Upsert(changed) if state[i] else Remove(changed.key)

    def answer(self, sequence: int) -> list[tuple[int, int, str]]:
        state = self.states[sequence]
        return sorted(ALWAYS + [match for i, variant in enumerate(state) for match in OF_VARIANT[i][variant]])


class Lookups(threading.Thread):
    """Looks all queries up without pause, and checks each answer."""

    def __init__(self, address: str, oracle: Oracle) -> None:
        super().__init__()
        self.calls = 0
        self.wrong: list[str] = []
        self.seen: set[tuple[int, int]] = set()
        self.generation = self.sequence = 0
        self.done = threading.Event()
        self._address, self._oracle = address, oracle

    def run(self) -> None:
        values = [item.value for item in QUERIES]
        with Client(self._address) as client:
            while not self.done.is_set() and not self.wrong:
                try:
                    result = client.lookup(values, hash_type="phash64", timeout_s=20)
                except NearHashError as error:
                    self.wrong.append(repr(error))
                    return
                self.calls += 1
                self.seen.add((result.generation, result.sequence))
                self.generation, self.sequence = result.generation, result.sequence
                if [(m.query, m.distance, m.entry_id) for m in result.matches] != self._oracle.answer(result.sequence):
                    self.wrong.append(f"generation {result.generation}, sequence {result.sequence}")


def make_data(path: Path) -> tuple[DataDirectory, Oracle]:
    directory = DataDirectory.create(path)
    with Registry(directory) as registry:
        registry.create_bank(BANK, {}, author=AUTHOR)
        registry.apply(BANK, upserts(BACKGROUND), AUTHOR)
        oracle = Oracle(registry.sequence())
    publish(path)
    return directory, oracle


def change(directory: DataDirectory, oracle: Oracle) -> None:
    """Change some entries."""
    with Registry(directory) as registry:
        for _ in range(CHANGES_PER_FLIP):
            assert registry.apply(BANK, [oracle.next_change()], AUTHOR).sequence == oracle.sequence


def flip(directory: DataDirectory, kind: int, sequences: dict[int, int]) -> int:
    """Publish, roll back or release in turn; return the generation that is current then."""
    if kind == 0:
        manifest = publish(directory.path)
        sequences[manifest.number] = manifest.sequence
    else:
        newest, before = directory.served_generation_numbers()[:2]
        directory.set_current(Current(before, pinned=True) if kind == 1 else Current(newest))
    return directory.current().number


def wait_until_seen(threads: list[Lookups], generation: int, sequence: int = 0) -> None:
    """Wait until each thread was answered from that generation, with the changes up to the sequence at least."""
    deadline_s = monotonic() + 20
    for thread in threads:
        while not ((thread.generation == generation and thread.sequence >= sequence) or thread.wrong):
            assert monotonic() < deadline_s, f"generation {generation} with sequence {sequence} was not taken over"
            sleep(0.005)


@pytest.mark.parametrize("flips", [30, pytest.param(3000, marks=[pytest.mark.long, pytest.mark.timeout(5400)])])
def test_each_answer_is_that_of_its_sequence(tmp_path: Path, capsys: pytest.CaptureFixture[str], flips: int) -> None:
    directory, oracle = make_data(tmp_path / "data")
    number, sequences = 1, {1: oracle.sequence}
    with serving(tmp_path / "server", directory.path, "--workers", 2, *FOLLOWING) as running:
        threads = [Lookups(running.address, oracle) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            wait_until_seen(threads, number)
            for i in range(flips):
                change(directory, oracle)
                # Sometimes the change is seen by itself, else it may come together with the flip. One that was rolled
                # back to does not take it.
                if i % 3 == 1 or i % 6 == 3:
                    wait_until_seen(threads, number, oracle.sequence)
                number = flip(directory, i % 3, sequences)
                wait_until_seen(threads, number)
        finally:
            for thread in threads:
                thread.done.set()
                thread.join(30)
    assert [wrong for thread in threads for wrong in thread.wrong] == []
    seen = set.union(*(thread.seen for thread in threads))
    assert all(sequences[generation] <= sequence for generation, sequence in seen)
    # Generations were seen as published, and with changes after them.
    assert len(seen) > flips
    assert len({sequence for _, sequence in seen}) > flips / 3
    with capsys.disabled(), suppress(BrokenPipeError):
        calls = sum(thread.calls for thread in threads)
        changes = flips * CHANGES_PER_FLIP
        told = f"{calls:,} lookups during {changes:,} changes and {flips:,} flips"
        print(f"\n  {told}: each of {len(seen):,} generations with sequences answered as it must")  # noqa: T201
