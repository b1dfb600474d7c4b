"""The commonest call, with an upload's hash or a few, answered without taking the message apart.

What Python does between two calls of gRPC meets cold caches, and takes three times as long as in a loop: to take the
message apart, make a response and pass it through all that a lookup can be asked takes longer than the search. So a
message that is nothing but a hash type and a few hashes is recognized by how it begins. If they are near nothing, as
most are, the answer is the same for all of them, and ready. Any other message goes the usual way, and so do any hashes
whose matches are not found as easily.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import grpc

from nearhash.v1 import lookup_pb2
from nearhash_index.hash_types import HASH_TYPES, HashType
from nearhash_index.quick_search import MOST_HASHES
from nearhash_index.view import Reach, View
from nearhash_service.access.callers import current_caller
from nearhash_service.answering.lookup_answers import add_matches
from nearhash_service.answering.served_view import ServedView
from nearhash_service.config import Caller
from nearhash_service.interceptors import Handler, UnaryInterceptor
from nearhash_service.metrics.lookups import LookupCounts
from nearhash_service.scheduling.lanes import CALL_COST_S, current_lane
from nearhash_service.scheduling.query_costs import CandidateSample, QueryCosts
from nearhash_service.sight.current_call import note_lookup

__all__ = ["QuickLookups"]

_LOOKUP = "/nearhash.v1.LookupService/Lookup"
_ONE_BYTE, _MORE = 0x7F, 0x80


class _Kind(NamedTuple):
    """What messages with so many hashes of a type have in common: how they begin, and their length."""

    hash_type: HashType
    hash_count: int
    begin: bytes
    size_bytes: int


def _kind(hash_type: HashType, count: int) -> _Kind:
    size_bytes = count * hash_type.size_bytes
    # Seven bits a byte, the low ones first.
    size = [size_bytes] if size_bytes <= _ONE_BYTE else [size_bytes & _ONE_BYTE | _MORE, size_bytes >> 7]
    # Field 1, a number; field 2, so many bytes.
    begin = bytes([1 << 3, hash_type.number, 2 << 3 | 2, *size])
    return _Kind(hash_type, count, begin, len(begin) + size_bytes)


_KINDS = {
    kind.begin: kind
    for kind in (_kind(hash_type, n + 1) for hash_type in HASH_TYPES.values() for n in range(MOST_HASHES))
}


class _Ready(NamedTuple):
    """What the answers of one view to one kind of message have in common."""

    find: Callable[[bytes], list[tuple[int, int, int]] | None] | None
    reach: Reach
    banks: frozenset[str]
    generation: int
    nothing: bytes
    cost_s: float


class QuickLookups(UnaryInterceptor):
    """Answers such calls. The innermost interceptor.

    Parameters
    ----------
    served : ServedView
    counts : LookupCounts
    sample : CandidateSample
    """

    def __init__(self, served: ServedView, counts: LookupCounts, sample: CandidateSample) -> None:
        super().__init__()
        self._served, self._counts, self._sample = served, counts, sample
        self._costs = QueryCosts()
        self._known: tuple[View | None, dict[tuple[bytes, tuple[str, ...]], _Ready]] = None, {}

    def wrap(self, method: str, handler: Handler) -> Handler:
        """Return a handler that leaves such messages as they are, and returns answers as bytes."""
        if method != _LOOKUP:
            return handler
        behavior, parse, serialize = handler.unary_unary, handler.request_deserializer, handler.response_serializer
        assert behavior  # noqa: S101 - gRPC's generated code has set them
        assert parse  # noqa: S101
        assert serialize  # noqa: S101

        def take(message: bytes) -> Any:
            kind = _KINDS.get(message[:4]) or _KINDS.get(message[:5])
            return (kind, message) if kind and len(message) == kind.size_bytes else parse(message)

        def answer(request: Any, context: grpc.ServicerContext) -> bytes:
            if type(request) is not tuple:
                return serialize(behavior(request, context))
            return self._answer(request) or serialize(behavior(parse(request[1]), context))

        return grpc.unary_unary_rpc_method_handler(answer, request_deserializer=take)

    def _answer(self, request: tuple[_Kind, bytes]) -> bytes | None:
        """Return the answer, or None if the message has to go the usual way."""
        caller = current_caller()
        if caller.bulk_only or caller.queries_per_second is not None:
            return None
        kind, message = request
        hash_type, count, begin, _ = kind
        view = self._served.get()
        known, of_view = self._known
        ready = of_view.get((begin, caller.banks)) if known is view else None
        if ready is None:
            ready = self._make_ready(view, kind, caller)
        # This takes hardly longer than to find out whether anybody still waits for it.
        packed = message[len(begin) :]
        found = ready.find(packed) if ready.find else None
        if found is None or (found and caller.read_hashes):
            return None
        current_lane.get().learn(ready.cost_s)
        if next(self._sample.turns):
            self._sample.take(view, hash_type, packed, ready.reach)
        note_lookup(hash_type.name, count, ready.generation, len(found))
        if not found:
            self._counts.count_few(hash_type, ready.banks, count)
            return ready.nothing
        response = lookup_pb2.LookupResponse(generation=ready.generation, sequence=view.sequence)
        self._counts.count_few(hash_type, ready.banks, count, add_matches(response, view, found))
        return response.SerializeToString()

    def _make_ready(self, view: View, kind: _Kind, caller: Caller) -> _Ready:
        number = view.generation.manifest.number
        reach = view.reach(kind.hash_type, None, (), caller.banks)
        ready = _Ready(
            reach.quick.find if reach.quick else None,
            reach,
            view.searched_banks((), caller.banks),
            number,
            lookup_pb2.LookupResponse(generation=number, sequence=view.sequence).SerializeToString(),
            CALL_COST_S + kind.hash_count * self._costs.query_s(view, kind.hash_type, reach.widest),
        )
        known, of_view = self._known
        if known is not view:
            of_view = {}
            self._known = view, of_view
        of_view[kind.begin, caller.banks] = ready
        return ready
