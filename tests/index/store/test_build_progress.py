"""What a build tells of itself, to other processes, as long as it lives."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nearhash_index.store import DataDirectory, Registry, builder, publish
from nearhash_index.store.build_progress import BuildProgress, BuildReporter

from ..samples import AUTHOR, entry, random_hash, upserts
from .test_builder import RNG


@pytest.fixture
def directory(tmp_path: Path) -> DataDirectory:
    made = DataDirectory.create(tmp_path / "data")
    with Registry(made) as registry:
        registry.create_bank("a", {}, author=AUTHOR)
        registry.apply("a", upserts([entry("one", random_hash(RNG))]), AUTHOR)
    return made


def test_a_build_tells_each_of_its_steps_and_nothing_afterwards(
    directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[BuildProgress | None] = []
    begin = BuildReporter.begin

    def begin_and_read(self: BuildReporter, step: str) -> None:
        begin(self, step)
        told.append(BuildProgress.read(directory))

    monkeypatch.setattr(builder.BuildReporter, "begin", begin_and_read)
    before_s = time.time()
    publish(directory.path)
    assert BuildProgress.read(directory) is None
    steps = [progress for progress in told if progress]
    assert [(each.step_number, each.step_count) for each in steps] == [(i, len(told)) for i in range(1, len(told) + 1)]
    assert {each.generation for each in steps} == {1}
    assert all(before_s <= each.start_time_s <= time.time() for each in steps)
    assert steps[1].step == "indexing 1 hashes of 1 entries"


def test_what_a_killed_build_left_says_nothing(directory: DataDirectory) -> None:
    assert BuildProgress.read(directory) is None
    with directory.publish_lock(), directory.staging(1):
        BuildReporter(directory, 1, 2).begin("reading")
        progress = BuildProgress.read(directory)
        assert progress is not None
        assert (progress.generation, progress.step, progress.step_number, progress.step_count) == (1, "reading", 1, 2)
    directory.staging_path.mkdir()
    BuildReporter(directory, 1, 2).begin("reading")
    assert BuildProgress.read(directory) is None
