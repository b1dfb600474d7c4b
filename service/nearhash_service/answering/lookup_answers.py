"""What lookups answer, as messages."""

from __future__ import annotations

from collections.abc import Iterable

from nearhash.v1 import lookup_pb2
from nearhash_index.degenerate import degenerate_reason
from nearhash_index.hash_types import HashType
from nearhash_index.lookup import Found, stored_hashes
from nearhash_index.view import View
from nearhash_service.config import Caller

__all__ = ["add_few", "add_found"]


def add_few(
    response: lookup_pb2.LookupResponse, first: int, view: View, found: Iterable[tuple[int, int, int]]
) -> list[tuple[str, int, int]]:
    """Add what was found for queries, the first of which is number `first` of the lookup.

    Of each match there is the query, the distance, and the number of the entry in the view.

    Returns
    -------
    list of (bank, query, distance), to be counted: to read them back from messages takes as long as to write these.
    """
    added = []
    for of_found, distance, number in found:
        query = first + of_found
        # In place, since to extend copies each message.
        match = response.matches.add()
        bank, match.entry_id, match.source, labels = view.entry(number)
        match.query, match.distance, match.bank = query, distance, bank
        match.labels.extend(labels)
        added.append((bank, query, distance))
    return added


def add_found(
    response: lookup_pb2.LookupResponse, first: int, view: View, hash_type: HashType, found: Found, caller: Caller
) -> list[tuple[str, int, int]]:
    """Add what was found for a block of the queries, the first of which is number `first` of the lookup.

    Returns what `add_few` does.
    """
    added = add_few(
        response, first, view, zip(found.query.tolist(), found.distance.tolist(), found.entry.tolist(), strict=True)
    )
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
            response.allowed.add(query=first + query)
        else:
            response.allowed.add(query=first + query, bank=bank, entry_id=entry_id, source=source)
    for query in found.unsearchable.tolist():
        response.unsearchable.add(query=first + query, reason=degenerate_reason(hash_type))
    response.truncated.extend(first + query for query in found.truncated.tolist())
    return added
