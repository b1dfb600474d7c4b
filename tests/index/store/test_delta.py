"""What a follower finds between a generation and the registry: additions, removals, times, banks, overflow, pinning."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from nearhash_index.entries import Entry, EntryKey
from nearhash_index.store import DataDirectory, Generation, Registry, publish
from nearhash_index.store import delta as delta_module
from nearhash_index.store.changes import Change, Disable, Enable, Reinstate, Remove, Unquarantine, Upsert, Withdraw
from nearhash_index.store.delta import Delta, DeltaFollower

from ..samples import AUTHOR, MD5, PHASH64, entry, random_hash, upserts

RNG = np.random.default_rng(1)
FIRST, SECOND, THIRD = (random_hash(RNG) for _ in range(3))
BASE = [entry(i, random_hash(RNG)) for i in "abcdef"]
KEYS = [each.key for each in BASE]
NOW_S = 1_000_000.0
LATER_S = int(NOW_S) + 100


class Followed:
    """A registry with a generation published from it, and a follower whose time the test tells."""

    def __init__(self, registry: Registry, generation: Generation) -> None:
        self.registry = registry
        self.generation = generation
        self.follower = DeltaFollower(generation, pinned=False)

    def apply(self, *changes: Change, bank: str = "bank") -> int:
        return self.registry.apply(bank, changes, AUTHOR).sequence

    def read(self, now_s: float = NOW_S, follower: DeltaFollower | None = None) -> Delta | None:
        with self.registry.snapshot() as snapshot:
            return (follower or self.follower).read(snapshot, now_s)

    def delta(self, now_s: float = NOW_S) -> Delta:
        """Read, and compare with what a follower that begins now reads, which may have room for others."""
        delta = self.read(now_s)
        assert delta is not None
        if delta.sequence < self.registry.sequence():
            return delta
        fresh = self.read(now_s, DeltaFollower(self.generation, pinned=False))
        assert fresh is not None
        assert (fresh.sequence, fresh.banks, fresh.entries) == (delta.sequence, delta.banks, delta.entries)
        assert fresh.tombstones.tolist() == delta.tombstones.tolist()
        return delta

    def pinned(self, now_s: float = NOW_S) -> Delta:
        delta = self.read(now_s, DeltaFollower(self.generation, pinned=True))
        assert delta is not None
        return delta


Follow = Callable[..., Followed]


@pytest.fixture
def follow(path: Path) -> Iterator[Follow]:
    """Make changes, publish, and follow."""
    opened = []

    def start(before: Sequence[Change] = tuple(upserts(BASE))) -> Followed:
        directory = DataDirectory(path)
        with Registry(directory) as registry:
            for name in ("other", "bank"):
                registry.create_bank(name, {}, author=AUTHOR)
            registry.apply("bank", before, AUTHOR)
        generation = Generation.open(directory.generation_path(publish(path).number))
        opened.append(Registry(directory))
        return Followed(opened[-1], generation)

    yield start
    for registry in opened:
        registry.close()


def added(delta: Delta) -> list[tuple[str, Entry]]:
    """Return the additions, after checking that the segments hold their hashes."""
    held = sorted((name, i) for name, segment in delta.segments.items() for i in segment.entry.tolist())
    hashes = [(item.hash_type.name, i) for i, (_, each) in enumerate(delta.entries) for item in each.hashes]
    assert held == sorted(hashes)
    return list(delta.entries)


def rows(*indexes: int) -> list[int]:
    """Return the rows in the generation of some of BASE: its order."""
    return sorted(indexes)


def test_nothing_changed_is_told_once(follow: Follow) -> None:
    followed = follow()
    delta = followed.delta()
    assert (delta.sequence, delta.tombstones.tolist(), added(delta)) == (8, [], [])
    assert [bank.name for bank in delta.banks] == ["bank", "other"]
    assert followed.read() is None
    assert followed.read(NOW_S + 1e6) is None


def test_additions_updates_and_removals(follow: Follow) -> None:
    followed = follow()
    new, changed = entry("new", FIRST, random_hash(RNG, MD5)), entry("b", SECOND, THIRD, labels=("x",))
    sequence = followed.apply(
        Upsert(new), Upsert(changed), Remove(KEYS[3]), Withdraw(KEYS[4]), Remove(EntryKey("z", "s"))
    )
    followed.apply(Upsert(new), bank="other")
    delta = followed.delta()
    assert delta.sequence == sequence + 1
    assert delta.tombstones.tolist() == rows(1, 3, 4)
    assert added(delta) == [("bank", changed), ("bank", new), ("other", new)]
    assert {name: len(segment.entry) for name, segment in delta.segments.items()} == {"phash64": 4, "md5": 2}


@pytest.mark.parametrize(
    ("changes", "matches"),
    [
        ([Remove(KEYS[0]), Upsert(BASE[0])], True),
        ([Withdraw(KEYS[0]), Upsert(BASE[0])], False),
        ([Withdraw(KEYS[0]), Reinstate(KEYS[0])], False),
        ([Withdraw(KEYS[0]), Reinstate(KEYS[0]), Upsert(BASE[0])], True),
        ([Disable(KEYS[0])], False),
        ([Disable(KEYS[0]), Upsert(BASE[0]._replace(labels=("new",)))], False),
        ([Disable(KEYS[0]), Enable(KEYS[0])], True),
        ([Disable(KEYS[0], LATER_S)], False),
        ([Disable(KEYS[0], int(NOW_S))], True),
    ],
    ids=lambda changes: "+".join(type(c).__name__ for c in changes) if isinstance(changes, list) else None,
)
@pytest.mark.parametrize("at_once", [True, False])
def test_only_the_last_state_counts(follow: Follow, changes: list[Change], matches: bool, at_once: bool) -> None:
    followed = follow()
    for change in changes:
        followed.apply(change)
        if not at_once:
            followed.read()
    if not at_once:
        followed.apply(Upsert(entry("z", FIRST)), Remove(EntryKey("z", "local")))
    delta = followed.delta()
    # The generation's row is dead in any case, as the delta has the entry.
    assert delta.tombstones.tolist() == [0]
    assert [each.key for _, each in added(delta)] == ([KEYS[0]] if matches else [])


def test_quarantined_hashes_are_not_searched_until_released(follow: Follow) -> None:
    followed = follow()
    aside = entry("new", FIRST)._replace(quarantined=(SECOND,))
    followed.apply(Upsert(aside))
    assert len(followed.delta().segments["phash64"].entry) == 1
    followed.apply(Unquarantine(aside.key))
    ((_, released),) = added(followed.delta())
    assert set(released.hashes) == {FIRST, SECOND}


# Times.


@pytest.mark.parametrize("before_the_build", [True, False], ids=["left out of the generation", "in the generation"])
def test_a_disabled_entry_matches_again_when_its_time_comes_and_without_another_change(
    follow: Follow, before_the_build: bool
) -> None:
    # Builds go by the clock, so the times lie far ahead of it.
    first_s, second_s = 2**31, 2**31 + 50
    disabled = [Disable(KEYS[0], first_s), Disable(KEYS[1], second_s), Disable(KEYS[2])]
    followed = follow([*upserts(BASE), *disabled] if before_the_build else upserts(BASE))
    if not before_the_build:
        followed.apply(*disabled)
    assert followed.generation.manifest.entry_count == (3 if before_the_build else 6)
    expected_tombstones = [] if before_the_build else rows(0, 1, 2)
    for now_s, back in ((first_s - 1, []), (first_s, KEYS[:1]), (second_s - 0.1, None), (second_s, KEYS[:2])):
        if back is None:
            assert followed.read(now_s) is None
            continue
        delta = followed.delta(now_s)
        assert [each.key for _, each in added(delta)] == back
        assert delta.tombstones.tolist() == expected_tombstones
    assert followed.read(second_s + 1e9) is None


def test_a_time_that_was_changed_counts_as_it_is_now(follow: Follow) -> None:
    followed = follow()
    followed.apply(Disable(KEYS[0], LATER_S))
    followed.delta()
    followed.apply(Disable(KEYS[0], LATER_S + 50))
    followed.delta()
    assert followed.read(LATER_S) is None
    assert added(followed.delta(LATER_S + 50)) == [("bank", BASE[0])]


# Banks.


def test_banks_are_as_they_are_now(follow: Follow) -> None:
    followed = follow()
    followed.delta()
    followed.registry.update_bank("bank", {"phash64": 1}, enabled=False, author=AUTHOR)
    new = followed.registry.create_bank("new", {}, allowlist=True, author=AUTHOR)
    delta = followed.delta()
    bank, created, _ = delta.banks
    assert (bank.radii["phash64"], bank.enabled, created) == (1, False, new)
    assert (delta.sequence, delta.tombstones.tolist(), added(delta)) == (10, [], [])


# Overflow.


@pytest.fixture
def room_for_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delta_module, "MAX_ADDITIONS", 3)


@pytest.mark.usefixtures("room_for_three")
def test_additions_without_room_wait_and_the_sequence_says_so(follow: Follow) -> None:
    followed = follow()
    new = [entry(f"new-{i}", random_hash(RNG)) for i in range(5)]
    sequence = followed.apply(*upserts(new[:3]))
    assert followed.delta().sequence == sequence
    for later in (new[3], new[4], entry("new-3", FIRST)):
        followed.apply(Upsert(later))
        delta = followed.delta()
        assert delta.sequence == sequence, "what waits is not in the answers"
        assert [each for _, each in added(delta)] == new[:3]
    # The next generation has them.
    assert followed.registry.sequence() == sequence + 3


@pytest.mark.usefixtures("room_for_three")
@pytest.mark.parametrize(
    "gone", [Remove(KEYS[0]), Withdraw(KEYS[0]), Disable(KEYS[0]), Disable(KEYS[0], LATER_S)], ids=str
)
def test_removals_never_wait(follow: Follow, gone: Change) -> None:
    followed = follow()
    sequence = followed.apply(*upserts(entry(f"new-{i}", random_hash(RNG)) for i in range(5)))
    followed.delta()
    followed.apply(gone, Remove(EntryKey("new-1", "local")), Withdraw(EntryKey("new-4", "local")))
    delta = followed.delta()
    assert delta.tombstones.tolist() == [0]
    assert [each.key.entry_id for _, each in added(delta)] == ["new-0", "new-2"]
    assert delta.sequence <= sequence - 2


@pytest.mark.usefixtures("room_for_three")
def test_removals_and_updates_of_what_is_in_the_generation_leave_nothing_waiting(follow: Follow) -> None:
    followed = follow()
    followed.apply(*upserts(entry(f"new-{i}", random_hash(RNG)) for i in range(3)))
    updated = entry("b", FIRST)
    sequence = followed.apply(Remove(KEYS[0]), Withdraw(KEYS[2]), Upsert(updated), Disable(KEYS[3]))
    delta = followed.delta()
    assert delta.sequence == sequence
    assert delta.tombstones.tolist() == rows(0, 1, 2, 3)
    assert ("bank", updated) in added(delta)


# Pinning.


def test_a_pinned_generation_is_as_it_was_but_for_what_was_withdrawn_or_disabled(follow: Follow) -> None:
    followed = follow()
    followed.registry.update_bank("bank", {"phash64": 1}, enabled=False, author=AUTHOR)
    followed.registry.create_bank("new", {}, author=AUTHOR)
    followed.apply(
        Upsert(entry("new", FIRST)),
        Upsert(entry("a", SECOND)),
        Remove(KEYS[1]),
        Withdraw(KEYS[2]),
        Disable(KEYS[3]),
        Disable(KEYS[4], LATER_S),
        Withdraw(EntryKey("new", "local")),
    )
    delta = followed.pinned()
    assert (delta.sequence, added(delta)) == (8, [])
    assert delta.tombstones.tolist() == rows(2, 3, 4)
    bank, other = delta.banks
    assert (bank.name, bank.radii["phash64"], bank.enabled) == ("bank", PHASH64.default_radius, False)
    assert (other.name, other.enabled) == ("other", True)
    assert followed.pinned(LATER_S).tombstones.tolist() == rows(2, 3)


def test_a_pinned_follower_goes_on_following_withdrawals(follow: Follow) -> None:
    followed = follow()
    followed.follower = DeltaFollower(followed.generation, pinned=True)
    first = followed.read()
    assert first is not None
    followed.apply(Disable(KEYS[4], LATER_S), Withdraw(KEYS[2]))
    second = followed.read()
    assert second is not None
    assert (first.tombstones.tolist(), second.tombstones.tolist()) == ([], rows(2, 4))
    third = followed.read(LATER_S)
    assert third is not None
    assert third.tombstones.tolist() == rows(2)


@pytest.mark.usefixtures("room_for_three")
def test_withdrawals_from_a_pinned_generation_never_wait(follow: Follow) -> None:
    followed = follow()
    followed.apply(*upserts(entry(f"new-{i}", random_hash(RNG)) for i in range(5)), Withdraw(KEYS[5]), Disable(KEYS[1]))
    assert followed.pinned().tombstones.tolist() == rows(1, 5)


def test_arrays_of_a_delta_cannot_be_written(follow: Follow) -> None:
    followed = follow()
    followed.apply(Upsert(entry("new", FIRST)), Remove(KEYS[0]))
    delta = followed.delta()
    with pytest.raises(ValueError, match="read-only"):
        delta.segments["phash64"].planes[...] = 0
