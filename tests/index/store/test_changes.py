from __future__ import annotations

import numpy as np
import pytest

from nearhash_index.entries import EntryKey, Hash
from nearhash_index.errors import InvalidInput
from nearhash_index.store.changes import (
    Author,
    Change,
    Disable,
    Enable,
    Reinstate,
    Remove,
    Unquarantine,
    Upsert,
    Withdraw,
    check_author,
    check_changes,
)

from ..samples import MD5, PDQ256, PHASH64, entry, random_hash

RNG = np.random.default_rng(1)
GOOD, OTHER = random_hash(RNG), random_hash(RNG)
FLAT = Hash(PHASH64, bytes(8))
KEY = EntryKey("a", "local")
BY_KEY = (Remove, Withdraw, Disable, Enable, Reinstate, Unquarantine)


def test_changes_come_in_their_normal_form() -> None:
    several = entry("a", GOOD, OTHER, GOOD, labels=("x", "x"))
    changes: list[Change] = [Upsert(several), *(kind(KEY) for kind in BY_KEY), Disable(KEY, 2**32 - 1)]
    assert check_changes(changes) == [Upsert(entry("a", GOOD, OTHER, labels=("x",))), *changes[1:]]
    # Named tuples of different types are equal if their values are.
    assert list(map(type, check_changes(changes))) == list(map(type, changes))
    assert check_changes([]) == []


def test_quarantined_hashes_may_be_degenerate() -> None:
    change = Upsert(entry("a")._replace(quarantined=(FLAT, GOOD)))
    assert check_changes([change]) == [change]


@pytest.mark.parametrize("kind", BY_KEY, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(
    ("key", "field"),
    [(EntryKey("", "local"), "entry_id"), (EntryKey("a", ""), "source"), (EntryKey("\n", "a"), "entry_id")],
)
def test_a_bad_key_is_named_by_its_place_in_the_change(kind: type[Remove], key: EntryKey, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_changes([Enable(KEY), kind(key)])
    place = "disable.key" if kind is Disable else kind.__name__.lower()
    assert caught.value.field == f"changes[1].{place}.{field}"


@pytest.mark.parametrize("until_s", [-1, 2**32])
def test_an_end_that_is_no_time_is_named(until_s: int) -> None:
    with pytest.raises(InvalidInput, match=f"{until_s} is out of range; use a Unix time in seconds") as caught:
        check_changes([Disable(KEY, until_s)])
    assert caught.value.field == "changes[0].disable.until"


def test_the_first_degenerate_hash_is_named_by_its_place() -> None:
    good = [random_hash(RNG, kind) for kind in (PHASH64, PDQ256, MD5)]
    changes = [Withdraw(KEY), Upsert(entry("a", *good)), Upsert(entry("b", *good, FLAT)), Upsert(entry("c", FLAT))]
    with pytest.raises(InvalidInput, match="this phash64 hash says too little about its image") as caught:
        check_changes(changes)
    assert caught.value.field == "changes[2].upsert.hashes[3].value"


@pytest.mark.parametrize("author", [Author("a"), Author("x" * 500, "y" * 500), Author("J\u00f6rg", "\N{SNOWMAN} 1")])
def test_authors(author: Author) -> None:
    assert check_author(author) == author


@pytest.mark.parametrize(
    ("author", "field", "problem"),
    [
        (Author(""), "actor", "empty; say who makes the change"),
        (Author("x" * 501), "actor", "use at most 500 printable characters"),
        (Author("a", "y" * 501), "reason", "use at most 500 printable characters"),
        (Author("a\nb"), "actor", "printable"),
        (Author("a", "\x1b[31m"), "reason", "printable"),
    ],
)
def test_who_is_nobody_or_cannot_be_printed_is_refused(author: Author, field: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem) as caught:
        check_author(author)
    assert caught.value.field == f"author.{field}"
