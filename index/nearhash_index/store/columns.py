"""The registry's entries as columns, in the order of a generation: many at a time, without an object per entry."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nearhash_index.codes import Codes, codes_from_bytes
from nearhash_index.entries import Bank, EntryState
from nearhash_index.hash_types import HASH_TYPES, HashType
from nearhash_index.store.records import HEADER, QUARANTINED, STATED, STATED_SIZE_BYTES, TYPE_BITS, decode_entry
from nearhash_index.store.snapshot import RegistrySnapshot

__all__ = ["Columns"]

_CHUNK = 100_000


class Columns:
    """Gathers the entries that match now. O(entries) time; memory as the arrays need.

    Attributes
    ----------
    sequence : int
    banks : tuple of Bank, by name
    sources, label_sets : dict
        From each distinct one to its number.
    """

    def __init__(self, snapshot: RegistrySnapshot) -> None:
        self.sequence = snapshot.sequence
        self._now_s = time.time()
        self.banks: tuple[Bank, ...] = tuple(snapshot.banks)
        self.sources: dict[str, int] = {}
        self.label_sets: dict[tuple[str, ...], int] = {(): 0}
        self._parts: dict[str, list[NDArray[Any]]] = {}
        self._entry_count = 0
        self._ids_size_bytes = 0
        for position, bank in enumerate(self.banks):
            entries = snapshot.raw_entries(bank.name)
            while chunk := list(islice(entries, _CHUNK)):
                self._append(position, chunk)

    @property
    def entry_count(self) -> int:
        """Number of entries."""
        return self._entry_count

    def hash_counts(self) -> dict[str, int]:
        """Return the number of codes of each hash type that occurs, duplicates counted."""
        counts = {name: sum(map(len, self._parts.get(f"{name}/entry", ()))) for name in HASH_TYPES}
        return {name: count for name, count in counts.items() if count}

    def entry_arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield the arrays of the entry table, as `Generation` documents them. Each is forgotten when yielded."""
        for name, dtype in (("bank", "<u4"), ("source", "<u4"), ("labels", "<u4"), ("id_end", "<u8"), ("ids", "u1")):
            yield f"entries/{name}", self._take(f"entries/{name}", dtype)

    def codes(self, hash_type: HashType) -> tuple[Codes, NDArray[np.uint32]]:
        """Return the codes of one type in entry order, and the row of the entry of each. Forgotten when returned."""
        packed = self._take(f"{hash_type.name}/hashes", "u1")
        codes, entry = codes_from_bytes(packed.data, hash_type), self._take(f"{hash_type.name}/entry", "<u4")
        if np.any(entry[:-1] > entry[1:]):
            # Second and further hashes of entries were put behind the first ones.
            order = np.argsort(entry, kind="stable")
            codes, entry = codes[order], entry[order]
        return codes, entry

    def _take(self, name: str, dtype: str) -> NDArray[Any]:
        return np.concatenate([np.empty(0, dtype=dtype), *self._parts.pop(name, [])])

    def _put(self, name: str, part: NDArray[Any]) -> None:
        self._parts.setdefault(name, []).append(part)

    def _append(self, bank: int, chunk: list[tuple[bytes, bytes]]) -> None:
        keys, values = _matching(chunk, self._now_s)
        if not keys:
            return
        first = self._entry_count
        self._entry_count += len(keys)
        self._put("entries/bank", np.full(len(keys), bank, dtype="<u4"))
        self._append_names(keys)
        self._append_hashes(values, first)

    def _append_names(self, keys: list[bytes]) -> None:
        blob = np.frombuffer(b"".join(keys), dtype=np.uint8)
        end = np.cumsum(np.fromiter(map(len, keys), dtype=np.int64, count=len(keys)))
        start = np.concatenate([[0], end[:-1]])
        # A key is: 4 bytes, entry id, 0, source. A source holds no 0, so the last one before the end is that one.
        zeros = np.flatnonzero(blob == 0)
        zero = zeros[np.searchsorted(zeros, end) - 1]
        id_start = start + 4
        self._put("entries/ids", blob[_spans(id_start, zero, len(blob))])
        id_end = self._ids_size_bytes + np.cumsum(zero - id_start)
        self._put("entries/id_end", id_end.astype("<u8"))
        self._ids_size_bytes = int(id_end[-1])
        width = int((end - zero).max()) - 1
        padded = np.concatenate([blob, np.zeros(width, dtype=np.uint8)])
        sources = padded[zero[:, None] + 1 + np.arange(width)]
        sources[np.arange(width) >= (end - zero - 1)[:, None]] = 0
        distinct, number = np.unique(sources.view(f"S{width}"), return_inverse=True)
        numbers = [self.sources.setdefault(name.decode(), len(self.sources)) for name in distinct]
        self._put("entries/source", np.array(numbers, dtype="<u4")[number.ravel()])

    def _append_hashes(self, values: list[bytes], first: int) -> None:
        blob = np.frombuffer(b"".join(values), dtype=np.uint8)
        size = np.fromiter(map(len, values), dtype=np.int64, count=len(values))
        start = np.cumsum(size) - size
        count = blob[start + HEADER.size - 1]
        at = start + HEADER.size + np.where(blob[start + 1] & STATED, STATED_SIZE_BYTES, 0)
        for k in range(int(count.max())):
            rows = np.flatnonzero(count > k)
            mark = blob[at[rows]]
            for hash_type in HASH_TYPES.values():
                is_of_type = mark & TYPE_BITS == hash_type.number
                matched = rows[is_of_type & (mark < QUARANTINED)]
                if len(matched):
                    found = blob[at[matched, None] + 1 + np.arange(hash_type.size_bytes)]
                    self._put(f"{hash_type.name}/hashes", found.ravel())
                    self._put(f"{hash_type.name}/entry", (first + matched).astype("<u4"))
                at[rows[is_of_type]] += 1 + hash_type.size_bytes
        labels = np.zeros(len(values), dtype="<u4")
        for row in np.flatnonzero(at < start + size).tolist():
            labelled = tuple(values[row][at[row] - start[row] :].decode().split("\n"))
            labels[row] = self.label_sets.setdefault(labelled, len(self.label_sets))
        self._put("entries/labels", labels)


def _matching(chunk: list[tuple[bytes, bytes]], now_s: float) -> tuple[list[bytes], list[bytes]]:
    """Leave out what is withdrawn or disabled now. A worker adds what comes back later to its delta."""
    active = EntryState.ACTIVE
    chosen = [(key, value) for key, value in chunk if value[0] == active or decode_entry(key, value).matches_at(now_s)]
    return [key for key, _ in chosen], [value for _, value in chosen]


def _spans(start: NDArray[np.int64], end: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
    """Return a mask of `size` that is set from each start to its end; spans are apart."""
    steps = np.zeros(size + 1, dtype=np.int8)
    steps[start] = 1
    steps[end] = -1
    return np.cumsum(steps[:-1], dtype=np.int8).astype(np.bool_)
