"""Builds in a process of their own; what they build, the tests of publishing compare."""

import os
from concurrent.futures import ThreadPoolExecutor

from nearhash_service.answering import building
from nearhash_service.answering.background import in_background
from nearhash_service.answering.building import publish_in_own_process
from nearhash_service.metrics.instruments import Instruments
from nearhash_service.scheduling import cores


def test_builds_leave_the_cores_to_calls(monkeypatch):
    # In place of a build: what priority it would have.
    monkeypatch.setattr(building, "publish", os.getpriority)
    assert publish_in_own_process(os.PRIO_PROCESS, 0, Instruments()) == min(19, os.nice(0) + 10)


def test_a_build_uses_all_cores_even_if_a_pinned_worker_starts_it():
    allowed = os.sched_getaffinity(0)
    cores.all_cores.cache_clear()

    def build() -> set[int]:
        # This thread alone.
        cores.pin(min(allowed))
        assert os.sched_getaffinity(0) == {min(allowed)}
        return in_background("killed", os.sched_getaffinity, 0)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(build).result() == allowed
