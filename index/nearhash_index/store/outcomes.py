"""What a change makes of an entry: decided on the bytes of the registry, which is what makes imports fast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from nearhash_index.entries import Entry, EntryState, Hash
from nearhash_index.store.changes import (
    Change,
    ChangeCounts,
    Disable,
    Enable,
    Reinstate,
    Remove,
    Unquarantine,
    Upsert,
    Withdraw,
)
from nearhash_index.store.records import (
    TIMES,
    StoredEntry,
    decode_entry,
    encode_entry,
    has_released,
    replacing,
    stated_time_s,
)

__all__ = ["UNCHANGED", "Decided", "decide", "decide_all"]

_NONE: Final[frozenset[Hash]] = frozenset()
UNCHANGED: Final = b""
"""Stands for leaving the stored value as it is."""


class Decided(NamedTuple):
    """What becomes of the entries that changes name.

    Attributes
    ----------
    changed : dict
        From the keys of entries to their new values; None: to be deleted.
    logged : list of bytes
        For each change that the log shall have, the key.
    numbers : dict
        Of changes, by the fields of ChangeCounts.
    older : list of int
        Positions of the changes that count as older.
    """

    changed: dict[bytes, bytes | None]
    logged: list[bytes]
    numbers: dict[str, int]
    older: list[int]


def decide_all(changes: Sequence[Change], keys: Sequence[bytes], known: Mapping[bytes, bytes], now_s: int) -> Decided:
    """Decide changes in order.

    Parameters
    ----------
    keys : sequence of bytes
        The key of each change's entry.
    known : mapping
        From keys to the values of entries that there are.
    """
    decided = Decided({}, [], dict.fromkeys(ChangeCounts._fields[1:], 0), [])
    changed, logged, numbers, older = decided
    for position, (key, change) in enumerate(zip(keys, changes, strict=True)):
        now = changed[key] if key in changed else known.get(key)
        outcome, value = decide(change, key, now, now_s)
        numbers[outcome] += 1
        if outcome == "older":
            older.append(position)
        if value != UNCHANGED:
            changed[key] = value
            # Whoever follows the log need not know of a time alone.
            if outcome != "unchanged":
                logged.append(key)
    return decided


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
        The new value, UNCHANGED, or None to delete the entry. If it counts as unchanged, a new value differs only in
        the time that the source stated.
    """
    match change:
        case Upsert(entry, stated_s):
            # What claims to come from the future must not outlive what will be stated until then.
            return _upsert(entry, min(stated_s, now_s), key, known, now_s)
        case Remove() | Reinstate():
            # What is withdrawn can only be reinstated, and nothing else can.
            forgets = known is not None and _is_withdrawn(known) == isinstance(change, Reinstate)
            return ("removed", None) if forgets else ("unchanged", UNCHANGED)
        case Withdraw(_, stated_s):
            return _withdraw(change, min(stated_s, now_s), key, known, now_s)
        case Disable(_, until_s):
            return _set_state(key, known, EntryState.DISABLED, until_s, now_s)
        case Enable():
            return _set_state(key, known, EntryState.ACTIVE, 0, now_s)
        case Unquarantine():
            return _unquarantine(key, known, now_s)


def _upsert(entry: Entry, stated_s: int, key: bytes, known: bytes | None, now_s: int) -> tuple[str, bytes]:
    new = (entry, EntryState.ACTIVE, 0, now_s, now_s, _NONE, stated_s)
    if known is None:
        return "added", encode_entry(new)
    known_s = stated_time_s(known)
    if _is_withdrawn(known):
        if not (known_s and stated_s):
            # Somebody here has withdrawn it; or nobody can tell this from an old list.
            return "withheld", UNCHANGED
        # Of what is stated at one time, a withdrawal comes last.
        return ("added", encode_entry(new)) if stated_s > known_s else ("older", UNCHANGED)
    if 0 < stated_s < known_s:
        return "older", UNCHANGED
    value = encode_entry(new)
    if _same(known, value):
        # Nearly all of a list that is imported again.
        return "unchanged", UNCHANGED
    if stated_s == known_s and not has_released(known):
        # Nearly all of a list that has changed: decoding what is known would take twice the time of all the rest.
        value = replacing(known, value)
        return ("unchanged", UNCHANGED) if _same(known, value) else ("updated", value)
    before = decode_entry(key, known)._replace(stated_s=max(stated_s, known_s))
    after = _released(before._replace(entry=entry), before.released)
    if after != before:
        return "updated", encode_entry(after._replace(updated_s=now_s))
    return "unchanged", encode_entry(before) if before.stated_s > known_s else UNCHANGED


def _withdraw(change: Withdraw, stated_s: int, key: bytes, known: bytes | None, now_s: int) -> tuple[str, bytes]:
    gone = StoredEntry(Entry(change.key, ()), EntryState.WITHDRAWN, 0, now_s, now_s, stated_s=stated_s)
    if known is None:
        # Recorded even if it is not there: a list may bring it later.
        return "updated", encode_entry(gone)
    before, known_s = decode_entry(key, known), stated_time_s(known)
    if before.state != EntryState.WITHDRAWN:
        if 0 < stated_s < known_s:
            return "older", UNCHANGED
        return "updated", encode_entry(gone._replace(created_s=before.created_s))
    if not known_s or 0 < stated_s <= known_s:
        return "unchanged", UNCHANGED
    if stated_s:
        return "unchanged", encode_entry(before._replace(stated_s=stated_s))
    # What its source withdrew, somebody here withdraws for good.
    return "updated", encode_entry(before._replace(updated_s=now_s, stated_s=0))


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
