"""The latest state of each record, where a run of pages holds several.

Pages come in no order of time: a record may be updated or deleted by one that stands before it. Two passes: the first
keeps an 8-byte fingerprint per record, so that the second holds back only records that come more than once.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from nearhash_index.entries import EntryKey
from nearhash_index.formats.items import Item, Skipped

__all__ = ["State", "latest_states", "stated_time_s"]

_MAX_TIME_S = 2**32 - 1


class State(NamedTuple):
    """What a record says at a time.

    Attributes
    ----------
    order : tuple of (float, bool)
        Seconds since 1970, and whether it is a withdrawal, which comes last of what has one time.
    items : tuple of Item
        What to import if no later state of the key comes.
    """

    place: str
    key: EntryKey
    order: tuple[float, bool]
    items: tuple[Item, ...]


def stated_time_s(seconds: float) -> int:
    """Return a state's time as changes carry it: whole seconds since 1970; 0 for one that can be none."""
    return int(seconds) if 0 < seconds <= _MAX_TIME_S else 0


def latest_states(read: Callable[[], Iterator[State | Item]]) -> Iterator[Item]:
    """Yield the items of each key's latest state, and those that belong to no state; earlier states as Skipped.

    Parameters
    ----------
    read : callable
        Reads the list; called twice.
    """
    fingerprints = array("q", (hash(found.key) for found in read() if isinstance(found, State)))
    values, counts = np.unique(np.frombuffer(fingerprints, dtype=np.int64), return_counts=True)
    repeated = set(values[counts > 1].tolist())
    held: dict[EntryKey, State] = {}
    for found in read():
        if not isinstance(found, State):
            yield found
        elif hash(found.key) not in repeated:
            yield from found.items
        else:
            other = held.setdefault(found.key, found)
            if other is not found:
                # Of two that come at one time, the one that stands later.
                older, newer = sorted((other, found), key=lambda state: state.order)
                held[found.key] = newer
                yield Skipped(older.place, "earlier state of a record")
    for state in held.values():
        yield from state.items
