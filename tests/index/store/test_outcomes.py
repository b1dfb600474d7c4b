"""What each change makes of an entry in each state."""

from __future__ import annotations

import numpy as np
import pytest

from nearhash_index.entries import Entry, EntryState, Hash
from nearhash_index.store.changes import Change, Disable, Enable, Reinstate, Remove, Unquarantine, Upsert, Withdraw
from nearhash_index.store.outcomes import UNCHANGED, decide
from nearhash_index.store.records import StoredEntry, decode_entry, encode_entry, encode_key

from ..samples import PHASH64, entry, random_hash

RNG = np.random.default_rng(1)
FIRST, SECOND, THIRD = (random_hash(RNG) for _ in range(3))
OLD = entry("a", FIRST, labels=("old",))._replace(quality=80)
NEW = entry("a", SECOND, labels=("new",))
ID = encode_key(7, OLD.key)
CREATED_S, BEFORE_S, NOW_S = 1000, 2000, 3000

ABSENT = None
ACTIVE = StoredEntry(OLD, EntryState.ACTIVE, 0, CREATED_S, BEFORE_S)
DISABLED = ACTIVE._replace(state=EntryState.DISABLED)
TIMED = DISABLED._replace(disabled_until_s=5000)
WITHDRAWN = StoredEntry(Entry(OLD.key, ()), EntryState.WITHDRAWN, 0, CREATED_S, BEFORE_S)
STATES = {"absent": ABSENT, "active": ACTIVE, "disabled": DISABLED, "timed": TIMED, "withdrawn": WITHDRAWN}

SAME = ("unchanged", "stays")


def added(new: Entry) -> tuple[str, StoredEntry]:
    return "added", StoredEntry(new, EntryState.ACTIVE, 0, NOW_S, NOW_S)


def updated(before: StoredEntry, **changed: object) -> tuple[str, StoredEntry]:
    return "updated", before._replace(updated_s=NOW_S, **changed)


GONE = ("removed", None)
NEVER_THERE = ("updated", WITHDRAWN._replace(created_s=NOW_S, updated_s=NOW_S))
# By change: absent, active, disabled, timed, withdrawn.
TABLE: list[tuple[Change, list[object]]] = [
    (Upsert(NEW), [added(NEW), *(updated(s, entry=NEW) for s in (ACTIVE, DISABLED, TIMED)), ("withheld", "stays")]),
    (Upsert(OLD), [added(OLD), SAME, SAME, SAME, ("withheld", "stays")]),
    (Remove(OLD.key), [SAME, GONE, GONE, GONE, SAME]),
    (Withdraw(OLD.key), [NEVER_THERE, *[updated(WITHDRAWN)] * 3, SAME]),
    (Disable(OLD.key), [SAME, updated(DISABLED), SAME, updated(DISABLED), SAME]),
    (Disable(OLD.key, 5000), [SAME, updated(TIMED), updated(TIMED), SAME, SAME]),
    (Disable(OLD.key, 6000), [SAME, *[updated(TIMED, disabled_until_s=6000)] * 3, SAME]),
    (Enable(OLD.key), [SAME, SAME, updated(ACTIVE), updated(ACTIVE), SAME]),
    (Reinstate(OLD.key), [SAME, SAME, SAME, SAME, GONE]),
    (Unquarantine(OLD.key), [SAME] * 5),
]
CASES = [
    pytest.param(change, known, expected, id=f"{type(change).__name__}-{i}-{name}")
    for i, (change, outcomes) in enumerate(TABLE)
    for (name, known), expected in zip(STATES.items(), outcomes, strict=True)
]


def outcome_of(change: Change, known: StoredEntry | None) -> tuple[str, object]:
    """Decide, and decode what was decided."""
    outcome, value = decide(change, ID, known and encode_entry(known), NOW_S)
    if value is None:
        return outcome, None
    return outcome, "stays" if value == UNCHANGED else decode_entry(ID, value)


@pytest.mark.parametrize(("change", "known", "expected"), CASES)
def test_what_becomes_of_an_entry(change: Change, known: StoredEntry | None, expected: tuple[str, object]) -> None:
    assert outcome_of(change, known) == expected


@pytest.mark.parametrize(("change", "known", "expected"), CASES)
def test_the_same_change_again_changes_nothing(change: Change, known: StoredEntry | None, expected: object) -> None:
    _, value = decide(change, ID, known and encode_entry(known), NOW_S)
    after = known and encode_entry(known) if value == UNCHANGED else value
    outcome, value = decide(change, ID, after, NOW_S + 1)
    assert (outcome in {"unchanged", "withheld"}, value) == (True, UNCHANGED), expected


def test_a_withdrawn_entry_keeps_nothing_of_its_hashes_labels_and_quality() -> None:
    _, value = decide(Withdraw(OLD.key), ID, encode_entry(ACTIVE), NOW_S)
    assert value is not None
    assert FIRST.value not in value
    assert b"old" not in value
    assert decode_entry(ID, value).entry == Entry(OLD.key, ())


@pytest.mark.parametrize(
    "changed",
    [
        {"hashes": (FIRST, SECOND)},
        {"hashes": (SECOND,)},
        {"labels": ()},
        {"quality": None},
        {"quality": 0},
        {"quarantined": (SECOND,)},
        {"hashes": (), "quarantined": (FIRST,)},
    ],
    ids=str,
)
def test_whatever_differs_is_an_update(changed: dict[str, object]) -> None:
    assert outcome_of(Upsert(OLD._replace(**changed)), ACTIVE) == updated(ACTIVE, entry=OLD._replace(**changed))


# Times that sources state.

STATED_S = 500
STATED = ACTIVE._replace(stated_s=STATED_S)
GONE_AT = WITHDRAWN._replace(stated_s=STATED_S)
OLDER = ("older", "stays")
# By the time stated: none, earlier, the same, later, later than now, which counts as now.
TIMES = [0, STATED_S - 1, STATED_S, STATED_S + 1, NOW_S + 1000]
STATED_TABLE: list[tuple[type[Upsert | Withdraw], Entry, StoredEntry, list[object]]] = [
    (Upsert, NEW, ACTIVE, [updated(ACTIVE, entry=NEW, stated_s=min(t, NOW_S)) for t in TIMES]),
    (Upsert, NEW, STATED, [
        updated(STATED, entry=NEW), OLDER, *(updated(STATED, entry=NEW, stated_s=t) for t in (500, 501, NOW_S)),
    ]),
    (Upsert, OLD, STATED, [SAME, OLDER, SAME, *(("unchanged", STATED._replace(stated_s=t)) for t in (501, NOW_S))]),
    (Upsert, OLD, ACTIVE, [SAME, *(("unchanged", ACTIVE._replace(stated_s=min(t, NOW_S))) for t in TIMES[1:])]),
    (Upsert, NEW, WITHDRAWN, [("withheld", "stays")] * 5),
    (Upsert, NEW, GONE_AT, [
        ("withheld", "stays"), OLDER, OLDER,
        *(("added", StoredEntry(NEW, EntryState.ACTIVE, 0, NOW_S, NOW_S, stated_s=t)) for t in (501, NOW_S)),
    ]),
    (Withdraw, OLD, ACTIVE, [updated(WITHDRAWN, stated_s=min(t, NOW_S)) for t in TIMES]),
    (Withdraw, OLD, STATED, [
        updated(WITHDRAWN), OLDER, *(updated(WITHDRAWN, stated_s=t) for t in (500, 501, NOW_S)),
    ]),
    (Withdraw, OLD, WITHDRAWN, [SAME] * 5),
    (Withdraw, OLD, GONE_AT, [
        updated(WITHDRAWN), SAME, SAME, *(("unchanged", GONE_AT._replace(stated_s=t)) for t in (501, NOW_S)),
    ]),
]  # fmt: skip
STATED_CASES = [
    pytest.param(kind(entry if kind is Upsert else entry.key, stated_s), known, expected, id=f"{kind.__name__}-{i}-{j}")
    for i, (kind, entry, known, outcomes) in enumerate(STATED_TABLE)
    for j, (stated_s, expected) in enumerate(zip(TIMES, outcomes, strict=True))
]


@pytest.mark.parametrize(("change", "known", "expected"), STATED_CASES)
def test_what_is_older_than_what_is_known_changes_nothing(change: Change, known: StoredEntry, expected: object) -> None:
    assert outcome_of(change, known) == expected


@pytest.mark.parametrize(("change", "known", "expected"), STATED_CASES)
def test_the_same_statement_again_changes_nothing(change: Change, known: StoredEntry, expected: object) -> None:
    _, value = decide(change, ID, encode_entry(known), NOW_S)
    assert value is not None
    after = value or encode_entry(known)
    outcome, value = decide(change, ID, after, NOW_S)
    assert (outcome in {"unchanged", "withheld", "older"}, value) == (True, UNCHANGED), expected


@pytest.mark.parametrize("change", [Disable(OLD.key), Enable(OLD.key), Unquarantine(OLD.key)])
def test_what_is_done_here_leaves_the_time_that_the_source_stated(change: Change) -> None:
    before = STATED._replace(
        state=EntryState.DISABLED if isinstance(change, Enable) else EntryState.ACTIVE,
        entry=OLD._replace(quarantined=(THIRD,)),
    )
    outcome, after = outcome_of(change, before)
    assert outcome == "updated"
    assert isinstance(after, StoredEntry)
    assert after.stated_s == STATED_S


# Quarantine.

FLAT = Hash(PHASH64, bytes(8))
ASIDE = ACTIVE._replace(entry=OLD._replace(quarantined=(THIRD, FLAT)))
BOTH = tuple(sorted((THIRD, FLAT), key=lambda item: item.value))
FREED = ACTIVE._replace(entry=OLD._replace(hashes=(FIRST, *BOTH)), released=frozenset(BOTH), updated_s=NOW_S)


def test_released_hashes_match_with_the_others() -> None:
    assert outcome_of(Unquarantine(OLD.key), ASIDE) == ("updated", FREED)
    assert outcome_of(Unquarantine(OLD.key), FREED) == SAME


@pytest.mark.parametrize("state", [DISABLED, TIMED])
def test_a_release_leaves_a_disabled_entry_disabled(state: StoredEntry) -> None:
    _, after = outcome_of(Unquarantine(OLD.key), state._replace(entry=ASIDE.entry))
    assert isinstance(after, StoredEntry)
    assert (after.state, after.disabled_until_s) == (state.state, state.disabled_until_s)


def test_a_list_that_brings_released_hashes_again_leaves_them_released() -> None:
    assert outcome_of(Upsert(ASIDE.entry), FREED) == SAME
    # Also when it no longer has them among the quarantined.
    assert outcome_of(Upsert(OLD._replace(hashes=(THIRD, FIRST), quarantined=(FLAT,))), FREED) == SAME


def test_a_released_hash_that_a_list_drops_is_quarantined_when_it_comes_again() -> None:
    _, dropped = outcome_of(Upsert(OLD), FREED)
    assert dropped == FREED._replace(entry=OLD, released=frozenset())
    assert isinstance(dropped, StoredEntry)
    assert outcome_of(Upsert(ASIDE.entry), dropped) == ("updated", ASIDE._replace(updated_s=NOW_S))
