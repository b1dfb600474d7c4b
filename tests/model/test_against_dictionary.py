"""Everything that can happen to a data directory, against a dictionary that does the same."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from nearhash_index.codes import codes_from_bytes
from nearhash_index.entries import Entry, EntryKey, EntryState, Hash
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.lookup import lookup
from nearhash_index.store import Current, DataDirectory, Generation, Registry, publish
from nearhash_index.store.changes import (
    Author,
    Change,
    Disable,
    Enable,
    Reinstate,
    Remove,
    Upsert,
    Withdraw,
)
from nearhash_index.store.delta import DeltaFollower
from nearhash_index.view import View

TYPE = HASH_TYPES["phash64"]
AUTHOR = Author("the test")
BANKS = ("one", "two")
FAR_FUTURE_S = 2**32 - 1

rng = np.random.default_rng(5)
VALUES = [rng.bytes(8) for _ in range(4)]
# A few hashes at small distances from each other, so that radii matter.
VALUES += [bytes([value[0] ^ flip]) + value[1:] for value, flip in zip(VALUES, (1, 3, 7, 255), strict=True)]

banks = st.sampled_from(BANKS)
keys = st.builds(EntryKey, st.sampled_from(["a", "ä"]), st.sampled_from(["ncmec", "local"]))
hashes = st.lists(st.sampled_from(VALUES), min_size=1, max_size=2, unique=True)
radii = st.integers(0, 12)


times = st.sampled_from([0, 0, 10, 20, 30])
"""What sources state; 0: nothing."""


class Known(NamedTuple):
    values: tuple[bytes, ...]
    state: EntryState = EntryState.ACTIVE
    until_s: int = 0
    stated_s: int = 0

    @property
    def matches(self) -> bool:
        return self.state == EntryState.ACTIVE or 0 < self.until_s < FAR_FUTURE_S


class Published(NamedTuple):
    entries: dict[tuple[str, EntryKey], Known]
    radii: dict[str, int]


class DataDirectoryAgainstDictionary(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.path = Path(tempfile.mkdtemp(prefix="nearhash-model-"))
        self.directory = DataDirectory.create(self.path / "data")
        self.registry = Registry(self.directory)
        self.entries: dict[tuple[str, EntryKey], Known] = {}
        self.radii: dict[str, int] = {}
        self.enabled: dict[str, bool] = {}
        self.generations: dict[int, Published] = {}
        self.current: Current | None = None
        self.follower: DeltaFollower | None = None
        self.view: View | None = None

    def teardown(self) -> None:
        self.registry.close()
        shutil.rmtree(self.path)

    @initialize(start=st.lists(st.tuples(banks, keys, hashes), max_size=8))
    def begin_with_something_published(self, start: list[tuple[str, EntryKey, list[bytes]]]) -> None:
        for name in BANKS:
            self.registry.create_bank(name, {"phash64": 3}, author=AUTHOR)
            self.radii[name], self.enabled[name] = 3, True
        for bank, key, values in start:
            self.upsert(bank, key, values)
        if start:
            self.publish()

    def apply(self, bank: str, change: Change) -> str:
        counts = self.registry.apply(bank, [change], AUTHOR)
        (outcome,) = (name for name, count in counts.by_outcome().items() if count)
        again = self.registry.apply(bank, [change], AUTHOR)
        assert again.sequence == counts.sequence, "applying it again changed something"
        return outcome

    @rule(bank=banks, key=keys, values=hashes, stated_s=times)
    def upsert_entry(self, bank: str, key: EntryKey, values: list[bytes], stated_s: int) -> None:
        self.upsert(bank, key, values, stated_s)

    def upsert(self, bank: str, key: EntryKey, values: list[bytes], stated_s: int = 0) -> None:
        entry = Entry(key, tuple(Hash(TYPE, value) for value in values))
        outcome = self.apply(bank, Upsert(entry, stated_s))
        known = self.entries.get((bank, key))
        withdrawn = known is not None and known.state == EntryState.WITHDRAWN
        if known is None or (withdrawn and stated_s > known.stated_s > 0):
            assert outcome == "added"
            self.entries[bank, key] = Known(tuple(values), stated_s=stated_s)
        elif withdrawn:
            assert outcome == ("older" if stated_s and known.stated_s else "withheld")
        elif 0 < stated_s < known.stated_s:
            assert outcome == "older"
        else:
            assert outcome == ("unchanged" if known.values == tuple(values) else "updated")
            self.entries[bank, key] = known._replace(values=tuple(values), stated_s=max(stated_s, known.stated_s))

    @rule(bank=banks, key=keys)
    def remove(self, bank: str, key: EntryKey) -> None:
        known = self.entries.get((bank, key))
        gone = known is not None and known.state != EntryState.WITHDRAWN
        assert self.apply(bank, Remove(key)) == ("removed" if gone else "unchanged")
        if gone:
            del self.entries[bank, key]

    @rule(bank=banks, key=keys, stated_s=times)
    def withdraw(self, bank: str, key: EntryKey, stated_s: int) -> None:
        outcome = self.apply(bank, Withdraw(key, stated_s))
        known = self.entries.get((bank, key))
        gone = Known((), EntryState.WITHDRAWN, stated_s=stated_s)
        if known is None:
            self.entries[bank, key] = gone
        elif known.state != EntryState.WITHDRAWN:
            assert outcome == ("older" if 0 < stated_s < known.stated_s else "updated")
            self.entries[bank, key] = known if outcome == "older" else gone
        elif known.stated_s and not 0 < stated_s < known.stated_s:
            # Withdrawn by its source; later by its source again, or here, for good.
            self.entries[bank, key] = gone

    @rule(bank=banks, key=keys)
    def reinstate(self, bank: str, key: EntryKey) -> None:
        self.apply(bank, Reinstate(key))
        if (known := self.entries.get((bank, key))) and known.state == EntryState.WITHDRAWN:
            del self.entries[bank, key]

    @rule(bank=banks, key=keys, until_s=st.sampled_from([0, 1, FAR_FUTURE_S]))
    def disable(self, bank: str, key: EntryKey, until_s: int) -> None:
        self.apply(bank, Disable(key, until_s))
        self._set_state(bank, key, EntryState.DISABLED, until_s)

    @rule(bank=banks, key=keys)
    def enable(self, bank: str, key: EntryKey) -> None:
        self.apply(bank, Enable(key))
        self._set_state(bank, key, EntryState.ACTIVE, 0)

    def _set_state(self, bank: str, key: EntryKey, state: EntryState, until_s: int) -> None:
        known = self.entries.get((bank, key))
        if known is not None and known.state != EntryState.WITHDRAWN:
            self.entries[bank, key] = known._replace(state=state, until_s=until_s)

    @rule(bank=banks, radius=radii, enabled=st.booleans())
    def update_bank(self, bank: str, radius: int, enabled: bool) -> None:
        self.registry.update_bank(bank, {"phash64": radius}, enabled, author=AUTHOR)
        self.radii[bank], self.enabled[bank] = radius, enabled

    @rule()
    def reopen(self) -> None:
        self.registry.close()
        self.registry = Registry(DataDirectory(self.directory.path))

    @precondition(lambda self: self.current is None or not self.current.pinned)
    @rule()
    def publish_changes(self) -> None:
        self.publish()

    def publish(self) -> None:
        # A build opens the registry itself, as the process that it normally has for its own would.
        self.registry.close()
        number = publish(self.directory.path).number
        self.registry = Registry(self.directory)
        self.generations.setdefault(number, Published(dict(self.entries), dict(self.radii)))
        self.current = Current(number)

    @precondition(lambda self: self.current is not None)
    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(self.directory.served_generation_numbers()))
        self.current = Current(number, pinned=True)
        self.directory.set_current(self.current)

    @precondition(lambda self: self.current is not None and self.current.pinned)
    @rule()
    def release(self) -> None:
        self.current = Current(self.directory.served_generation_numbers()[0])
        self.directory.set_current(self.current)

    @invariant()
    def answers_are_the_dictionarys(self) -> None:
        if self.current is None:
            return
        assert self.directory.current() == self.current
        view = self._view()
        queries = codes_from_bytes(b"".join(VALUES), TYPE)
        found = lookup(view, TYPE, queries, radius=None, banks=[], max_matches=100)
        answers = [
            (query, distance, *view.entry(number)[:3])
            for query, distance, number in zip(
                found.query.tolist(), found.distance.tolist(), found.entry.tolist(), strict=True
            )
        ]
        assert answers == self._expected()

    def _view(self) -> View:
        """Follow as a worker does: a new follower for a new choice, else the same one reads on."""
        assert self.current is not None
        with self.registry.snapshot() as snapshot:
            if self.follower is None or self.served != self.current:
                generation = Generation.open(self.directory.generation_path(self.current.number))
                self.follower = DeltaFollower(generation, pinned=self.current.pinned)
                self.served = self.current
                delta = self.follower.read(snapshot, time.time())
                assert delta is not None
                self.view = View(generation, delta)
            else:
                assert self.view is not None
                delta = self.follower.read(snapshot, time.time())
                self.view = View(self.view.generation, delta) if delta else self.view
            if not self.current.pinned:
                assert self.view.sequence == snapshot.sequence
        return self.view

    def _expected(self) -> list[tuple[int, int, str, str, str]]:
        assert self.current is not None
        if self.current.pinned:
            published = self.generations[self.current.number]
            matching = {
                name: known
                for name, known in published.entries.items()
                if known.matches and self.entries.get(name, known).matches
            }
            bank_radii = published.radii
        else:
            matching = {name: known for name, known in self.entries.items() if known.matches}
            bank_radii = self.radii
        expected = []
        for (bank, key), known in matching.items():
            if not self.enabled[bank]:
                continue
            for query, value in enumerate(VALUES):
                distance = min(
                    ((int.from_bytes(value) ^ int.from_bytes(other)).bit_count() for other in known.values), default=65
                )
                if distance <= bank_radii[bank]:
                    expected.append((query, distance, bank, key.entry_id, key.source))
        return sorted(expected)


TestDataDirectory = DataDirectoryAgainstDictionary.TestCase
TestDataDirectory.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)


@pytest.mark.long
@pytest.mark.timeout(1200)
class TestDataDirectoryLong(DataDirectoryAgainstDictionary.TestCase):  # type: ignore[name-defined]
    settings = settings(max_examples=500, stateful_step_count=60, deadline=None)
