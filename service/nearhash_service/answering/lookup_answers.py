"""What lookups answer, as messages."""

from __future__ import annotations

from nearhash.v1 import lookup_pb2
from nearhash_index.degenerate import degenerate_reason
from nearhash_index.hash_types import HashType
from nearhash_index.lookup import Found, stored_hashes
from nearhash_index.view import View
from nearhash_service.config import Caller

__all__ = ["add_found", "add_match"]


def add_match(
    response: lookup_pb2.LookupResponse, view: View, query: int, distance: int, number: int
) -> lookup_pb2.Match:
    """Add a match with an entry of the view, by its number: in place, since to extend copies each message."""
    match = response.matches.add()
    match.query, match.distance = query, distance
    match.bank, match.entry_id, match.source, labels = view.entry(number)
    match.labels.extend(labels)
    return match


def add_found(
    response: lookup_pb2.LookupResponse, first: int, view: View, hash_type: HashType, found: Found, caller: Caller
) -> None:
    """Add what was found for a block of the queries, the first of which is number `first` of the lookup."""
    matches = [
        add_match(response, view, first + query, distance, number)
        for query, distance, number in zip(
            found.query.tolist(), found.distance.tolist(), found.entry.tolist(), strict=True
        )
    ]
    for match, (hash_index, hash_count) in zip(matches, found.places or (), strict=False):
        match.hash_index, match.hash_count = hash_index, hash_count
    if caller.read_hashes:
        for match, value in zip(matches, stored_hashes(view, hash_type, found), strict=True):
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
