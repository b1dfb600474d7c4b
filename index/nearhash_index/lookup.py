"""Looking hashes up in a view: which entries lie within their banks' radii."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nearhash_index import brute_force
from nearhash_index.codes import Codes, codes_to_bytes
from nearhash_index.degenerate import degenerate_rows
from nearhash_index.hash_types import HashType
from nearhash_index.matches import Hits, Matches
from nearhash_index.planes import codes_of
from nearhash_index.view import Reach, View

__all__ = ["Found", "lookup", "lookup_in_blocks", "stored_hashes"]

_NONE = np.empty(0, dtype=np.int64)
_MANY_HITS = 64
"""Gathered before they are told: by then the caches are warm again."""
_FEW_HITS = 128
"""Python looks through so many sooner than NumPy sorts them, and keeps other threads waiting for no longer."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a lookup found.

    Attributes
    ----------
    query, entry, distance : int64[k]
        Row of the query, number of the entry in the view, distance in bits of the entry's nearest hash, or with
        `every_hash` of one of its hashes. Sorted by (query, distance, bank, entry id, source).
    code : int64[k]
        Where that hash is among the unique codes of the entry's segment; `stored_hashes` reads it.
    unsearchable : int64[u]
        Rows of queries that were not searched because they are degenerate; ascending.
    truncated : int64[t]
        Rows of queries of which only the nearest entries are given; ascending.
    allowed : list of (query, entry)
        Queries whose matches an entry of an allowlist suppressed, and the nearest such entry; by query.
    places : list of (int, int), optional
        With `every_hash`: which of its entry's hashes of this type each match is, from 0, and how many there are.
    """

    query: NDArray[np.int64]
    entry: NDArray[np.int64]
    distance: NDArray[np.int64]
    code: NDArray[np.int64]
    unsearchable: NDArray[np.int64]
    truncated: NDArray[np.int64]
    allowed: list[tuple[int, int]]
    places: list[tuple[int, int]] | None = None


class _Hits(NamedTuple):
    """Entries near queries: query, entry number, distance, row and code of the hash in the entry's segment."""

    query: NDArray[np.int64]
    entry: NDArray[np.int64]
    distance: NDArray[np.int64]
    row: NDArray[np.int64]
    code: NDArray[np.int64]

    def keep(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> _Hits:
        return _Hits(*(array[chosen] for array in self))


def lookup(
    view: View,
    hash_type: HashType,
    queries: Codes,
    *,
    radius: int | None,
    banks: Sequence[str],
    max_matches: int,
    within: tuple[str, ...] = (),
    every_hash: bool = False,
) -> Found:
    """Find the entries near each query.

    Parameters
    ----------
    queries : uint64[q, words]
    radius : int, optional
        Inclusive, in bits; a bank's own radius applies if it is smaller or none is given.
    banks : sequence of str
        To search; empty: every enabled bank. Enabled allowlists apply in any case.
    max_matches : int
        Matches per query, the nearest.
    within : tuple of str
        If it is not empty, the only banks that may be searched. Enabled allowlists apply in any case.
    every_hash : bool
        Whether each hash of an entry within the radius is a match, rather than the nearest one alone.

    Raises
    ------
    InvalidInput
        If the radius is out of range.
    UnknownName, BankDisabled
        If a bank named is not there, or disabled.
    """
    reach = view.reach(hash_type, radius, banks, within)
    blocks = [slice(0, len(queries))]
    (found,) = lookup_in_blocks(
        view, hash_type, queries, blocks, reach=reach, max_matches=max_matches, every_hash=every_hash
    )
    return found


def lookup_in_blocks(
    view: View,
    hash_type: HashType,
    queries: Codes,
    blocks: Iterable[slice],
    *,
    reach: Reach,
    max_matches: int,
    every_hash: bool = False,
) -> Iterator[Found]:
    """Find the entries near each query, and let the caller do something else before each block of the queries.

    What is found is told once it is much, or all. To tell it of each block would take a twentieth longer in all: the
    search of a block leaves the caches cold for what Python does next.

    Parameters
    ----------
    blocks : iterable of slice
        Of the queries, one after the other.
    reach : Reach
        Of the view, for what is asked.
    max_matches, every_hash
        As of `lookup`.

    Yields
    ------
    Found
        Of the blocks since the last one; rows count all queries. The last one tells all that are unsearchable.
    """
    unsearchable = degenerate_rows(queries, hash_type)
    left_out: list[int] = unsearchable.tolist()
    searched = np.delete(queries, unsearchable, axis=0) if left_out else queries
    near = _Near(view, hash_type, reach)
    for block in blocks:
        first, last = block.start - bisect_left(left_out, block.start), block.stop - bisect_left(left_out, block.stop)
        near.search(searched[first:last], first)
        is_last = block.stop == len(queries)
        if is_last or near.count >= _MANY_HITS:
            found = _found(view, hash_type, near.take(), max_matches, every_hash)
            yield _among_all(found, len(queries), unsearchable, is_last=is_last) if left_out else found


def stored_hashes(view: View, hash_type: HashType, found: Found) -> list[bytes]:
    """Return the stored hash of each match, most significant byte first. For those alone who may read them."""
    hashes = []
    for number, code in zip(found.entry.tolist(), found.code.tolist(), strict=True):
        if number < view.first_added:
            codes = view.generation.segments[hash_type.name].index.codes_at(np.array([code]))
        else:
            codes = codes_of(view.delta.segments[hash_type.name].planes[:, [code]])
        hashes.append(codes_to_bytes(codes, hash_type))
    return hashes


def _found(view: View, hash_type: HashType, parts: Sequence[_Hits], max_matches: int, every_hash: bool) -> Found:
    hits = _merged(view, *(parts if every_hash else map(_once, parts)))
    if not len(hits.query):
        # The commonest answer by far.
        return Found(_NONE, _NONE, _NONE, _NONE, unsearchable=_NONE, truncated=_NONE, allowed=[])
    hits, allowed = _without_allowed(view, hits)
    hits, cut = _nearest(hits, max_matches)
    places = _places(view, hash_type, hits) if every_hash else None
    return Found(hits.query, hits.entry, hits.distance, hits.code, _NONE, cut, allowed, places)


def _among_all(found: Found, query_count: int, unsearchable: NDArray[np.int64], *, is_last: bool) -> Found:
    """Tell the rows of what was found by all queries rather than those that were searched."""
    rows = np.delete(np.arange(query_count), unsearchable)
    return replace(
        found,
        query=rows[found.query],
        unsearchable=unsearchable if is_last else _NONE,
        truncated=rows[found.truncated],
        allowed=[(int(rows[query]), entry) for query, entry in found.allowed],
    )


class _Near:
    """Gathers what is near queries in generation and delta.

    Attributes
    ----------
    count : int
        Codes found since the last were taken; not all are within the radius of their bank.
    """

    def __init__(self, view: View, hash_type: HashType, reach: Reach) -> None:
        self._view, self._reach = view, reach
        is_reached = reach.widest >= 0
        self._stored = view.generation.segments.get(hash_type.name) if is_reached else None
        self._added = view.delta.segments.get(hash_type.name) if is_reached else None
        self._of_stored: list[Hits] = []
        self._of_added: list[Hits] = []
        self.count = 0

    def search(self, queries: Codes, first: int) -> None:
        """Search for queries, the first of which has this number; later ones than before."""
        widest = self._reach.widest
        if self._stored is not None:
            self._gather(self._of_stored, self._stored.index.hits(queries, widest), first)
        if self._added is not None:
            self._gather(self._of_added, brute_force.scan(self._added.planes, queries, widest), first)

    def take(self) -> list[_Hits]:
        """Return what was found within the radius of its bank and has not been taken yet."""
        view, radii = self._view, self._reach.radii
        parts = []
        if self._of_stored:
            assert self._stored is not None  # noqa: S101 - the hits come from it
            matches = self._stored.index.matches(Hits.joined(self._of_stored))
            entry = self._stored.entry[matches.row].astype(np.int64)
            near = matches.distance <= radii[view.generation_banks[view.generation.entries.bank[entry]]]
            alive = near & ~np.isin(entry, view.delta.tombstones) if len(view.delta.tombstones) else near
            parts.append(_Hits(matches.query, entry, matches.distance, matches.row, matches.code).keep(alive))
        if self._of_added:
            assert self._added is not None  # noqa: S101 - likewise
            matches = Matches.sorted(*Hits.joined(self._of_added))
            position = self._added.entry[matches.row]
            near = matches.distance <= radii[view.added_banks[position]]
            number = position + view.first_added
            parts.append(_Hits(matches.query, number, matches.distance, matches.row, matches.code).keep(near))
        self._of_stored, self._of_added, self.count = [], [], 0
        return parts

    def _gather(self, gathered: list[Hits], hits: Hits, first: int) -> None:
        if hits:
            gathered.append(hits._replace(query=hits.query + first) if first else hits)
            self.count += len(hits.query)


def _once(hits: _Hits) -> _Hits:
    """Keep the nearest hash of an entry with several, which comes first."""
    pairs = hits.query * (hits.entry.max(initial=0) + 1) + hits.entry
    if len(pairs) <= _FEW_HITS and len(set(pairs.tolist())) == len(pairs):
        return hits
    _, first = np.unique(pairs, return_index=True)
    first.sort()
    return hits.keep(first)


def _merged(view: View, *parts: _Hits) -> _Hits:
    """Return hits in the order of answers; each part is in that order already."""
    filled = [part for part in parts if len(part.query)]
    if len(filled) <= 1:
        return filled[0] if filled else _Hits(_NONE, _NONE, _NONE, _NONE, _NONE)
    hits = _Hits(*np.concatenate(filled, axis=1))
    located = [view.entry(number) for number in hits.entry.tolist()]
    order = sorted(range(len(located)), key=lambda i: (hits.query[i], hits.distance[i], located[i]))
    return hits.keep(np.array(order, dtype=np.int64))


def _without_allowed(view: View, hits: _Hits) -> tuple[_Hits, list[tuple[int, int]]]:
    """Drop all hits of queries that an allowlist knows; return the first allowing entry of each."""
    if not view.has_allowlists:
        return hits, []
    allowing = np.array([bank.allowlist for bank in view.banks], dtype=np.bool_)
    allows = allowing[view.bank_of(hits.entry)]
    queries, first = np.unique(hits.query[allows], return_index=True)
    entries = hits.entry[allows][first]
    suppressed = np.isin(hits.query, queries)
    return hits.keep(~suppressed), list(zip(queries.tolist(), entries.tolist(), strict=True))


def _nearest(hits: _Hits, max_matches: int) -> tuple[_Hits, NDArray[np.int64]]:
    """Keep the first `max_matches` of each query, and tell which queries have more."""
    if len(hits.query) <= max_matches:
        return hits, _NONE
    queries, start, count = np.unique(hits.query, return_index=True, return_counts=True)
    rank = np.arange(len(hits.query)) - np.repeat(start, count)
    return hits.keep(rank < max_matches), queries[count > max_matches]


def _places(view: View, hash_type: HashType, hits: _Hits) -> list[tuple[int, int]]:
    """Tell of each hit which of its entry's hashes it is, and how many there are: an entry's rows are consecutive."""
    name = hash_type.name
    stored, added = view.generation.segments.get(name), view.delta.segments.get(name)
    places = []
    for number, row in zip(hits.entry.tolist(), hits.row.tolist(), strict=True):
        segment, entry = (stored, number) if number < view.first_added else (added, number - view.first_added)
        assert segment is not None  # noqa: S101 - the hit comes from it
        # Of the array's own type, or NumPy would convert the array.
        entry = segment.entry.dtype.type(entry)
        first, end = np.searchsorted(segment.entry, entry), np.searchsorted(segment.entry, entry, side="right")
        places.append((row - int(first), int(end - first)))
    return places
