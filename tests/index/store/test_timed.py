"""The registry's list of entries that come back by time."""

from __future__ import annotations

import numpy as np
import pytest

from nearhash_index.store import Registry
from nearhash_index.store.changes import Change, Disable, Enable, Remove, Upsert, Withdraw
from nearhash_index.store.records import decode_key

from ..samples import AUTHOR, entry, random_hash

ENTRY = entry("a", random_hash(np.random.default_rng(1)))
KEY = ENTRY.key
TIMED = Disable(KEY, 5000)


def timed(registry: Registry) -> list[object]:
    with registry.snapshot() as snapshot:
        return [decode_key(key)[1] for key in snapshot.timed()]


@pytest.mark.parametrize(
    ("changes", "listed"),
    [
        ([], False),
        ([TIMED], True),
        ([TIMED, Disable(KEY, 6000)], True),
        ([TIMED, Upsert(ENTRY._replace(labels=("new",)))], True),
        ([Disable(KEY)], False),
        ([Disable(KEY), TIMED], True),
        ([TIMED, Disable(KEY)], False),
        ([TIMED, Enable(KEY)], False),
        ([TIMED, Remove(KEY)], False),
        ([TIMED, Withdraw(KEY)], False),
        ([TIMED, Enable(KEY), TIMED], True),
    ],
    ids=lambda changes: "+".join(type(change).__name__ for change in changes) if isinstance(changes, list) else None,
)
@pytest.mark.parametrize("at_once", [True, False])
def test_it_holds_what_is_disabled_until_a_time_and_nothing_else(
    registry: Registry, changes: list[Change], listed: bool, at_once: bool
) -> None:
    registry.create_bank("bank", {}, author=AUTHOR)
    registry.apply("bank", [Upsert(ENTRY)], AUTHOR)
    for step in [changes] if at_once else [[change] for change in changes]:
        registry.apply("bank", step, AUTHOR)
    assert timed(registry) == ([KEY] if listed else [])
