"""Looking hashes up in a generation: which entries lie within their banks' radii."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nearhash_index.codes import Codes
from nearhash_index.degenerate import degenerate_rows
from nearhash_index.errors import BankDisabled, UnknownName
from nearhash_index.hash_types import HashType, check_radius
from nearhash_index.matches import Matches
from nearhash_index.store.generation import Generation, Manifest, Segment

__all__ = ["Found", "lookup"]

_NOT_SEARCHED = -1


@dataclass(frozen=True, slots=True)
class Found:
    """What a lookup found.

    Attributes
    ----------
    query, entry, distance : int64[k]
        Row of the query, row of the entry in the generation, distance in bits of the entry's nearest hash. Sorted by
        (query, distance, bank, entry id, source).
    unsearchable : int64[u]
        Rows of queries that were not searched because they are degenerate; ascending.
    truncated : int64[t]
        Rows of queries of which only the nearest entries are given; ascending.
    """

    query: NDArray[np.int64]
    entry: NDArray[np.int64]
    distance: NDArray[np.int64]
    unsearchable: NDArray[np.int64]
    truncated: NDArray[np.int64]


def lookup(
    generation: Generation,
    hash_type: HashType,
    queries: Codes,
    *,
    radius: int | None,
    banks: Sequence[str],
    max_matches: int,
) -> Found:
    """Find the entries near each query.

    Parameters
    ----------
    queries : uint64[q, words]
    radius : int, optional
        Inclusive, in bits; a bank's own radius applies if it is smaller or none is given.
    banks : sequence of str
        To search; empty: every enabled bank.
    max_matches : int
        Entries per query, the nearest.

    Raises
    ------
    InvalidInput
        If the radius is out of range.
    UnknownName, BankDisabled
        If a bank named is not in the generation, or disabled.
    """
    if radius is not None:
        check_radius(hash_type, radius)
    bank_radius = _bank_radii(generation.manifest, hash_type, radius, banks)
    unsearchable = degenerate_rows(queries, hash_type)
    segment = generation.segments.get(hash_type.name)
    widest = int(bank_radius.max(initial=_NOT_SEARCHED))
    if segment is None or widest < 0:
        empty = np.empty(0, dtype=np.int64)
        return Found(empty, empty, empty, unsearchable, empty)
    searched = np.delete(np.arange(len(queries)), unsearchable)
    matches = segment.index.search(queries[searched], widest)
    query, entry, distance = _within_banks(generation, segment, matches, bank_radius)
    kept, cut = _nearest(query, max_matches)
    return Found(searched[query[kept]], entry[kept], distance[kept], unsearchable, searched[cut])


def _bank_radii(manifest: Manifest, hash_type: HashType, radius: int | None, banks: Sequence[str]) -> NDArray[np.int64]:
    """Return the radius of each bank of the generation for this lookup, -1 for a bank that is not searched."""
    enabled = {bank.name: bank.enabled for bank in manifest.banks}
    for name in banks:
        if name not in enabled:
            raise UnknownName(f"generation {manifest.number} has no bank {name!r}; if it is new, publish it")
        if not enabled[name]:
            raise BankDisabled(f"bank {name!r} is disabled")
    named = set(banks)
    return np.array(
        [
            min(bank.radii[hash_type.name], hash_type.bits if radius is None else radius)
            if bank.enabled and (not named or bank.name in named)
            else _NOT_SEARCHED
            for bank in manifest.banks
        ],
        dtype=np.int64,
    )


def _within_banks(
    generation: Generation, segment: Segment, matches: Matches, bank_radius: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Turn matching codes into entries within the radius of their bank, each at most once per query."""
    entry = segment.entry[matches.row].astype(np.int64)
    within = matches.distance <= bank_radius[generation.entries.bank[entry]]
    query, entry, distance = matches.query[within], entry[within], matches.distance[within]
    # An entry with several hashes of a type counts by the nearest, which comes first.
    _, first = np.unique(query * len(generation.entries.bank) + entry, return_index=True)
    first.sort()
    return query[first], entry[first], distance[first]


def _nearest(query: NDArray[np.int64], max_matches: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Mark the first `max_matches` of each query, and tell which queries have more."""
    queries, start, count = np.unique(query, return_index=True, return_counts=True)
    rank = np.arange(len(query)) - np.repeat(start, count)
    return rank < max_matches, queries[count > max_matches]
