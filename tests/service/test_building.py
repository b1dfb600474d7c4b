"""Builds in a process of their own; what they build, the tests of publishing compare."""

import os

from nearhash_service.answering import building
from nearhash_service.answering.building import publish_in_own_process
from nearhash_service.metrics.instruments import Instruments


def test_builds_leave_the_cores_to_calls(monkeypatch):
    # In place of a build: what priority it would have.
    monkeypatch.setattr(building, "publish", os.getpriority)
    assert publish_in_own_process(os.PRIO_PROCESS, 0, Instruments()) == min(19, os.nice(0) + 10)
