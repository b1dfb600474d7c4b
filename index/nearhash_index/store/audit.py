"""The audit log: who changed what, when and why."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

from nearhash_index.entries import Bank
from nearhash_index.store.changes import Author, Change, ChangeCounts

__all__ = ["AuditRecord"]

_NAMED_ENTRIES = 20


class AuditRecord(NamedTuple):
    """One operation. Never holds a hash.

    Attributes
    ----------
    time_s : int
        Unix time in seconds.
    actor, reason : str
    bank : str
        Empty if it concerns all.
    action : str
        What was done: "create bank", "upsert", "withdraw", "remove + upsert", "roll back to generation 3".
    first_sequence, last_sequence : int
        The changes, inclusive.
    counts : mapping
        From the fields of ChangeCounts to numbers of entries.
    entries : sequence of [entry id, source]
        The first entries that the operation named.
    """

    time_s: int
    actor: str
    reason: str
    bank: str
    action: str
    first_sequence: int
    last_sequence: int
    counts: Mapping[str, int]
    entries: Sequence[Sequence[str]]

    @classmethod
    def of_changes(
        cls,
        bank: str,
        author: Author,
        changes: Sequence[Change],
        counts: ChangeCounts,
        first_sequence: int,
    ) -> Self:
        """Return the record of changes of entries."""
        action = " + ".join(sorted({type(change).__name__.lower() for change in changes}))
        entries = [list(change.key) for change in changes[:_NAMED_ENTRIES]]
        numbers = counts.by_outcome()
        return cls(int(time.time()), *author, bank, action, first_sequence, counts.sequence, numbers, entries)

    @classmethod
    def of_bank(cls, bank: Bank, action: str, author: Author, sequence: int) -> Self:
        """Return the record of a change of a bank."""
        return cls(int(time.time()), *author, bank.name, action, sequence, sequence, {}, [])

    @classmethod
    def of_publishing(cls, action: str, author: Author, sequence: int) -> Self:
        """Return the record of a change of what is served, which changes no bank."""
        return cls(int(time.time()), *author, "", action, sequence, sequence, {}, [])
