"""Entries that a text list names in two places: the later rows would replace the earlier ones.

The first naming goes on; a later one is rejected, unless it says the same. Which names were there is remembered as
64-bit fingerprints, 16 to 32 bytes each. When a fingerprint comes again its entry is held back until the end, and
the list read once more to compare the names themselves: two names with one fingerprint are both imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from nearhash_index.entries import EntryKey
from nearhash_index.errors import InvalidInput
from nearhash_index.formats.items import Item, Rejected, Removal, Skipped, Upsert

__all__ = ["FingerprintSet", "without_repeats"]

_MAX_HELD = 100_000
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio
_UNSORTED = f"more than {_MAX_HELD:,} entries are named in two places; sort the rows by source and entry_id"


def without_repeats(path: Path, read: Callable[[], Iterator[list[Item]]]) -> Iterator[list[Item]]:
    """Yield the items of `read()`, in chunks, but entries named again in another place as Rejected, at the end.

    Raises
    ------
    InvalidInput
        If more than 100,000 entries are named again: the list must be sorted first.
    """
    names = FingerprintSet()
    held: list[Upsert | Removal] = []
    for chunk in read():
        named = [item for item in chunk if _is_named(item)]
        again = names.add(np.array([_fingerprint(item) for item in named], dtype=np.int64).view(np.uint64))
        apart = {id(named[i]) for i in np.flatnonzero(again)}
        if apart:
            held += [item for item in named if id(item) in apart]
            if len(held) > _MAX_HELD:
                raise InvalidInput(str(path), _UNSORTED)
        yield [item for item in chunk if id(item) not in apart] if apart else chunk
    if held:
        yield list(_resolved(held, chain.from_iterable(read())))


def _resolved(held: list[Upsert | Removal], items: Iterator[Item]) -> Iterator[Item]:
    """Yield the entries held back, now that their names can be compared with those that came before them."""
    first: dict[EntryKey, Upsert | Removal] = {}
    wanted = {item.key for item in held}
    for item in items:
        if isinstance(item, (Upsert, Removal)) and item.key in wanted:
            first.setdefault(item.key, item)
    for item in held:
        earlier = first.get(item.key, item)
        if earlier.place == item.place:
            yield item  # another name had its fingerprint
        elif earlier[1:] == item[1:]:
            yield Skipped(item.place, "entry that is in the list twice, and says the same")
        else:
            yield Rejected(item.place, f"{earlier.place} names this entry too; put its rows next to each other")


def _is_named(item: Item) -> TypeGuard[Upsert | Removal]:
    """Tell whether the rows name the entry; else its id is its hash, and it can only be there twice."""
    if isinstance(item, Upsert):
        value = (item.entry.hashes or item.entry.quarantined)[0].value
        entry_id = item.entry.key.entry_id
        return len(entry_id) != 2 * len(value) or entry_id != value.hex()
    return isinstance(item, Removal)


def _fingerprint(item: Upsert | Removal) -> int:
    key = item.key
    return hash((key.entry_id, key.source))


class FingerprintSet:
    """A growing set of 64-bit numbers: a table of at most half load, searched by linear probing, many at a time."""

    def __init__(self) -> None:
        self._table = np.zeros(1 << 16, dtype=np.uint64)  # 0: free
        self._count = 0

    def add(self, fingerprints: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Add the numbers, and tell which of them were there already, or earlier among them. O(n) expected.

        Parameters
        ----------
        fingerprints : uint64[n]
            0 and 1 count as one.

        Returns
        -------
        bool[n].
        """
        unique, first = np.unique(np.maximum(fingerprints, 1), return_index=True)
        while 2 * (self._count + len(unique)) > len(self._table):
            grown = np.zeros(2 * len(self._table), dtype=np.uint64)
            for part in np.array_split(self._table, max(1, len(self._table) >> 20)):
                _insert(grown, part[part != 0])
            self._table = grown
        present = _insert(self._table, unique)
        self._count += len(unique) - int(np.count_nonzero(present))
        again = np.ones(len(fingerprints), dtype=np.bool_)
        again[first] = present
        return again


def _insert(table: NDArray[np.uint64], values: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Insert values, all different, into a table of a power of two; tell which were there already."""
    mask = np.uint64(len(table) - 1)
    present = np.zeros(len(values), dtype=np.bool_)
    left = np.arange(len(values))
    # Fibonacci hashing (Knuth, volume 3, 6.4): the product's high bits depend on all bits of the value.
    slots = (values * _GOLDEN) >> np.uint64(65 - len(table).bit_length())
    while len(left):
        wanted = values[left]
        found = table[slots]
        free = found == 0
        table[slots[free]] = wanted[free]  # where two want one slot, one of them gets it
        settled = table[slots] == wanted
        present[left[settled & ~free]] = True
        left = left[~settled]
        slots = (slots[~settled] + np.uint64(1)) & mask
    return present
