"""What a change makes of an entry: decided on the bytes of the registry, which is what makes imports fast."""

from __future__ import annotations

from typing import Final

from nearhash_index.entries import Entry, EntryState, Hash
from nearhash_index.store.changes import (
    Change,
    Disable,
    Enable,
    Reinstate,
    Remove,
    Unquarantine,
    Upsert,
    Withdraw,
)
from nearhash_index.store.records import TIMES, StoredEntry, decode_entry, encode_entry

__all__ = ["UNCHANGED", "decide"]

_NONE: Final[frozenset[Hash]] = frozenset()
UNCHANGED: Final = b""
"""Stands for leaving the stored value as it is."""


def decide(change: Change, key: bytes, known: bytes | None, now_s: int) -> tuple[str, bytes | None]:
    """Tell what becomes of an entry.

    Parameters
    ----------
    key, known : bytes
        The entry's key, and its value now; None: there is no such entry.

    Returns
    -------
    str
        The field of ChangeCounts to count it in.
    bytes or None
        The new value, UNCHANGED, or None to delete the entry.
    """
    match change:
        case Upsert(entry):
            return _upsert(entry, key, known, now_s)
        case Remove() | Reinstate():
            # What is withdrawn can only be reinstated, and nothing else can.
            forgets = known is not None and _is_withdrawn(known) == isinstance(change, Reinstate)
            return ("removed", None) if forgets else ("unchanged", UNCHANGED)
        case Withdraw():
            if known is not None and _is_withdrawn(known):
                return "unchanged", UNCHANGED
            # Recorded even if it is not there: a list may bring it later.
            created_s = now_s if known is None else decode_entry(key, known).created_s
            gone = Entry(change.key, ())
            return "updated", encode_entry(StoredEntry(gone, EntryState.WITHDRAWN, 0, created_s, now_s))
        case Disable(_, until_s):
            return _set_state(key, known, EntryState.DISABLED, until_s, now_s)
        case Enable():
            return _set_state(key, known, EntryState.ACTIVE, 0, now_s)
        case Unquarantine():
            return _unquarantine(key, known, now_s)


def _upsert(entry: Entry, key: bytes, known: bytes | None, now_s: int) -> tuple[str, bytes]:
    if known is None:
        return "added", encode_entry((entry, EntryState.ACTIVE, 0, now_s, now_s, _NONE))
    if _is_withdrawn(known):
        return "withheld", UNCHANGED
    if _same(known, encode_entry((entry, EntryState.ACTIVE, 0, now_s, now_s, _NONE))):
        # Nearly all of a list that is imported again.
        return "unchanged", UNCHANGED
    before = decode_entry(key, known)
    value = encode_entry(_released(before._replace(entry=entry, updated_s=now_s), before.released))
    return ("unchanged", UNCHANGED) if _same(value, known) else ("updated", value)


def _unquarantine(key: bytes, known: bytes | None, now_s: int) -> tuple[str, bytes]:
    before = None if known is None else decode_entry(key, known)
    if before is None or not before.entry.quarantined:
        return "unchanged", UNCHANGED
    return "updated", encode_entry(
        _released(before._replace(updated_s=now_s), before.released.union(before.entry.quarantined))
    )


def _released(stored: StoredEntry, released: frozenset[Hash]) -> StoredEntry:
    """Take released hashes out of quarantine."""
    if not released:
        return stored._replace(released=released)
    entry = stored.entry
    freed = tuple(item for item in entry.quarantined if item in released)
    kept = tuple(item for item in entry.quarantined if item not in released)
    # In the order in which they are read back.
    hashes = tuple(item for item in entry.hashes if item not in released)
    hashes += tuple(sorted((*freed, *(item for item in entry.hashes if item in released)), key=lambda item: item.value))
    return stored._replace(
        entry=entry._replace(hashes=hashes, quarantined=kept), released=released.intersection(hashes)
    )


def _set_state(key: bytes, known: bytes | None, state: EntryState, until_s: int, now_s: int) -> tuple[str, bytes]:
    if known is None or _is_withdrawn(known):
        return "unchanged", UNCHANGED
    before = decode_entry(key, known)
    value = encode_entry(before._replace(state=state, disabled_until_s=until_s, updated_s=now_s))
    return ("unchanged", UNCHANGED) if _same(value, known) else ("updated", value)


def _is_withdrawn(value: bytes) -> bool:
    return value[0] == EntryState.WITHDRAWN


def _same(value: bytes, other: bytes) -> bool:
    """Compare all but the times."""
    return value[: TIMES.start] == other[: TIMES.start] and value[TIMES.stop :] == other[TIMES.stop :]
