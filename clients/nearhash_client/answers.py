"""The answers to calls as results. Shared by both clients."""

from collections.abc import Sequence

from nearhash.v1 import lookup_pb2

from .requests import Part
from .results import Allowed, AnsweredBatch, LookupResult, Match, Unsearchable


def merge(parts: Sequence[Part], responses: Sequence[lookup_pb2.LookupResponse]) -> LookupResult:
    """Return one result from the answers, in the order of `parts`, with queries numbered over the whole lookup."""
    answered = [(part.first_query, response) for part, response in zip(parts, responses, strict=True)]
    return LookupResult(
        generation=min(response.generation for response in responses),
        sequence=min(response.sequence for response in responses),
        matches=tuple(_match(first + match.query, match) for first, response in answered for match in response.matches),
        unsearchable=tuple(
            Unsearchable(first + found.query, found.reason)
            for first, response in answered
            for found in response.unsearchable
        ),
        truncated=tuple(first + query for first, response in answered for query in response.truncated),
        allowed=tuple(_allowed(first + item.query, item) for first, response in answered for item in response.allowed),
    )


def answered_batch(part: Part, response: lookup_pb2.LookupResponse) -> AnsweredBatch:
    """Return the answer to one call of a long lookup."""
    return AnsweredBatch(part.first_query, part.next_query, merge([part], [response]))


def take_apart(response: lookup_pb2.LookupResponse, count: int) -> list[LookupResult]:
    """Return the result of each of a call's `count` hashes, as if it had been looked up alone: as query 0."""
    matches: dict[int, list[Match]] = {}
    for match in response.matches:
        matches.setdefault(match.query, []).append(_match(0, match))
    unsearchable = {found.query: (Unsearchable(0, found.reason),) for found in response.unsearchable}
    truncated = set(response.truncated)
    allowed = {item.query: (_allowed(0, item),) for item in response.allowed}
    return [
        LookupResult(
            generation=response.generation,
            sequence=response.sequence,
            matches=tuple(matches.get(query, ())),
            unsearchable=unsearchable.get(query, ()),
            truncated=(0,) if query in truncated else (),
            allowed=allowed.get(query, ()),
        )
        for query in range(count)
    ]


def _match(query: int, match: lookup_pb2.Match) -> Match:
    return Match(
        query=query,
        distance=match.distance,
        bank=match.bank,
        entry_id=match.entry_id,
        source=match.source,
        labels=tuple(match.labels),
        hash=match.hash or None,
        hash_index=match.hash_index,
        hash_count=match.hash_count,
    )


def _allowed(query: int, item: lookup_pb2.Allowed) -> Allowed:
    return Allowed(query, item.bank, item.entry_id, item.source)
