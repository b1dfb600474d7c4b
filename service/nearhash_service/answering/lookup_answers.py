"""What lookups answer, as messages."""

from __future__ import annotations

from collections.abc import Iterable

from nearhash.v1 import lookup_pb2
from nearhash_index.degenerate import degenerate_reason
from nearhash_index.hash_types import HashType
from nearhash_index.lookup import Found, stored_hashes
from nearhash_index.view import View
from nearhash_service.config import Caller

__all__ = ["add_found", "add_matches"]


def add_matches(
    response: lookup_pb2.LookupResponse, view: View, found: Iterable[tuple[int, int, int]]
) -> list[tuple[str, int, int]]:
    """Add matches: of each there is the query, the distance, and the number of the entry in the view.

    Returns
    -------
    list of (bank, query, distance), to be counted: to read them back from messages takes as long as to write these.
    """
    added = []
    for query, distance, number in found:
        # In place, since to extend copies each message.
        match = response.matches.add()
        bank, match.entry_id, match.source, labels = view.entry(number)
        match.query, match.distance, match.bank = query, distance, bank
        if labels:
            match.labels.extend(labels)
        added.append((bank, query, distance))
    return added


def add_found(
    response: lookup_pb2.LookupResponse, view: View, hash_type: HashType, found: Found, caller: Caller
) -> list[tuple[str, int, int]]:
    """Add what was found for some of the queries. Returns what `add_matches` does."""
    located = zip(found.query.tolist(), found.distance.tolist(), found.entry.tolist(), strict=True)
    added = add_matches(response, view, located)
    before = len(response.matches) - len(added)
    if found.places is not None:
        for match, (hash_index, hash_count) in zip(response.matches[before:], found.places, strict=True):
            match.hash_index, match.hash_count = hash_index, hash_count
    if caller.read_hashes:
        for match, value in zip(response.matches[before:], stored_hashes(view, hash_type, found), strict=True):
            match.hash = value
    for query, number in found.allowed:
        bank, entry_id, source, _ = view.entry(number)
        if caller.banks and bank not in caller.banks:
            response.allowed.add(query=query)
        else:
            response.allowed.add(query=query, bank=bank, entry_id=entry_id, source=source)
    for query in found.unsearchable.tolist():
        response.unsearchable.add(query=query, reason=degenerate_reason(hash_type))
    response.truncated.extend(found.truncated.tolist())
    return added
