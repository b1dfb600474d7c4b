"""Changes of entries, and what applying them did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Self, TypeAlias

from nearhash_index.entries import Entry, EntryKey, check_degenerate, check_entry, check_key
from nearhash_index.errors import InvalidInput

__all__ = [
    "Author",
    "Change",
    "ChangeCounts",
    "Disable",
    "Enable",
    "Reinstate",
    "Remove",
    "Unquarantine",
    "Upsert",
    "Withdraw",
    "check_author",
    "check_changes",
]

_MAX_TEXT_CHARACTERS = 500
_MAX_TIME_S = 2**32 - 1


class Upsert(NamedTuple):
    """Add the entry, or replace it whole, unless what its source stated later is known.

    An entry that is withdrawn stays so, unless its source itself withdrew it, and asserts it again later.

    Attributes
    ----------
    stated_s : int
        When its source stated it, a Unix time in seconds; 0: it states no times, and what it says last counts.
    """

    entry: Entry
    stated_s: int = 0

    @property
    def key(self) -> EntryKey:
        """The entry's key."""
        return self.entry.key


class Remove(NamedTuple):
    """Forget the entry."""

    key: EntryKey


class Withdraw(NamedTuple):
    """Stop matching the entry for good, even after a roll back or when a list brings it again; forget its hashes.

    Attributes
    ----------
    stated_s : int
        When its source withdrew it, a Unix time in seconds: it can assert the entry again later, or have done so. 0:
        nothing but Reinstate makes room for it.
    """

    key: EntryKey
    stated_s: int = 0


class Disable(NamedTuple):
    """Stop matching the entry for a while.

    Attributes
    ----------
    until_s : int
        Unix time in seconds from which it matches again; 0: until it is enabled.
    """

    key: EntryKey
    until_s: int = 0


class Enable(NamedTuple):
    """Match a disabled entry again."""

    key: EntryKey


class Reinstate(NamedTuple):
    """Forget that the entry was withdrawn, so that it can be added again."""

    key: EntryKey


class Unquarantine(NamedTuple):
    """Match the entry's quarantined hashes, now and when a list brings them again."""

    key: EntryKey


Change: TypeAlias = Upsert | Remove | Withdraw | Disable | Enable | Reinstate | Unquarantine


class Author(NamedTuple):
    """Who makes a change, and why; for the audit log."""

    actor: str
    reason: str = ""


class ChangeCounts(NamedTuple):
    """What applying changes did.

    Attributes
    ----------
    sequence : int
        The registry's, afterwards.
    added, updated, removed, unchanged : int
        Entries. Disabling, enabling and withdrawing what matched or could match count as updated.
    withheld : int
        Upserts of entries that are withdrawn; these stay so.
    older : tuple of int
        Positions of the changes that are older than what their source is known to have stated; they were not made.
    """

    sequence: int
    added: int = 0
    updated: int = 0
    removed: int = 0
    unchanged: int = 0
    withheld: int = 0
    older: tuple[int, ...] = ()

    @classmethod
    def of(cls, sequence: int, numbers: Mapping[str, int], older: Iterable[int]) -> Self:
        """Return the counts, given the numbers by field."""
        added, updated, removed, unchanged, withheld = (numbers[name] for name in cls._fields[1:-1])
        return cls(sequence, added, updated, removed, unchanged, withheld, tuple(older))

    def by_outcome(self) -> dict[str, int]:
        """Return the number of changes by outcome."""
        counted = {**self._asdict(), "older": len(self.older)}
        del counted["sequence"]
        return counted


def check_changes(changes: list[Change]) -> list[Change]:
    """Return the changes in their normal form; raise InvalidInput that names the first wrong one by its position."""
    checked = [_check_change(change, f"changes[{i}]") for i, change in enumerate(changes)]
    check_degenerate(
        (f"changes[{i}].upsert.hashes[{k}].value", item)
        for i, change in enumerate(checked)
        if isinstance(change, Upsert)
        for k, item in enumerate(change.entry.hashes)
    )
    return checked


def check_author(author: Author) -> Author:
    """Return who makes the change; raise InvalidInput if nobody does, or at too great a length."""
    if not author.actor:
        raise InvalidInput("author.actor", "empty; say who makes the change")
    for field, text in author._asdict().items():
        if len(text) > _MAX_TEXT_CHARACTERS or not text.isprintable():
            raise InvalidInput(f"author.{field}", f"use at most {_MAX_TEXT_CHARACTERS} printable characters")
    return author


def _check_change(change: Change, field: str) -> Change:
    if isinstance(change, (Upsert, Withdraw)) and not 0 <= change.stated_s <= _MAX_TIME_S:
        raise InvalidInput(f"{field}.stated_time", f"{change.stated_s} is out of range; use a Unix time in seconds")
    if isinstance(change, Upsert):
        return Upsert(check_entry(change.entry, f"{field}.upsert"), change.stated_s)
    name = type(change).__name__.lower()
    check_key(change.key, f"{field}.disable.key" if isinstance(change, Disable) else f"{field}.{name}")
    if isinstance(change, Disable) and not 0 <= change.until_s <= _MAX_TIME_S:
        raise InvalidInput(f"{field}.disable.until", f"{change.until_s} is out of range; use a Unix time in seconds")
    return change
