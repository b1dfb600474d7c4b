"""The commonest call, an upload's single hash, answered without taking the message apart.

What Python does between two calls of gRPC meets cold caches, and takes three times as long as in a loop: to take the
message apart, make a response and pass it through all that a lookup can be asked takes longer than the search. So a
message that is nothing but a hash type and one hash is recognized by its bytes. If the hash is near nothing, as most
are, the answer is the same for all of them, and ready. Any other message goes the usual way, and so does any hash whose
matches are not found as easily.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import grpc

from nearhash.v1 import lookup_pb2
from nearhash_index.hash_types import HASH_TYPES, HashType
from nearhash_index.lone_lookup import LoneLookup
from nearhash_index.view import Reach, View
from nearhash_service.access.callers import current_caller
from nearhash_service.answering.lookup_answers import add_match
from nearhash_service.answering.served_view import ServedView
from nearhash_service.config import Caller
from nearhash_service.interceptors import Handler, UnaryInterceptor
from nearhash_service.metrics.lookups import LookupCounts
from nearhash_service.scheduling.lanes import CALL_COST_S, current_lane
from nearhash_service.scheduling.query_costs import CandidateSample
from nearhash_service.sight.current_call import note_lookup

__all__ = ["LoneLookups"]

_LOOKUP = "/nearhash.v1.LookupService/Lookup"
_PREFIX_BYTES = 4


def _prefix(hash_type: HashType) -> bytes:
    """Return how a message with one hash of that type begins: field 1, a number; field 2, so many bytes."""
    return bytes([1 << 3, hash_type.number, 2 << 3 | 2, hash_type.size_bytes])


_TYPES = {_prefix(hash_type): hash_type for hash_type in HASH_TYPES.values()}


class _Ready(NamedTuple):
    """What the answers of one view to one kind of message have in common."""

    hash_type: HashType
    lookup: LoneLookup
    reach: Reach
    banks: frozenset[str]
    generation: int
    nothing: bytes


class LoneLookups(UnaryInterceptor):
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
            hash_type = _TYPES.get(message[:_PREFIX_BYTES])
            is_lone = hash_type is not None and len(message) == _PREFIX_BYTES + hash_type.size_bytes
            return message if is_lone else parse(message)

        def answer(request: Any, context: grpc.ServicerContext) -> bytes:
            if type(request) is not bytes:
                return serialize(behavior(request, context))
            return self._answer(request) or serialize(behavior(parse(request), context))

        return grpc.unary_unary_rpc_method_handler(answer, request_deserializer=take)

    def _answer(self, message: bytes) -> bytes | None:
        """Return the answer, or None if the message has to go the usual way."""
        caller = current_caller()
        if caller.bulk_only or caller.queries_per_second is not None:
            return None
        view = self._served.get()
        prefix, packed = message[:_PREFIX_BYTES], message[_PREFIX_BYTES:]
        known, of_view = self._known
        ready = of_view.get((prefix, caller.banks)) if known is view else None
        if ready is None:
            ready = self._make_ready(view, prefix, caller)
        # This takes no longer than to find out whether anybody still waits for it.
        found = ready.lookup.find(packed)
        if found is None or (found and caller.read_hashes):
            return None
        current_lane.get().learn(CALL_COST_S)
        if next(self._sample.turns):
            self._sample.take(view, ready.hash_type, packed, ready.reach)
        note_lookup(ready.hash_type.name, 1, ready.generation, len(found))
        if not found:
            self._counts.count_one(ready.hash_type, ready.banks)
            return ready.nothing
        response = lookup_pb2.LookupResponse(generation=ready.generation, sequence=view.sequence)
        matches = [add_match(response, view, 0, distance, number) for distance, number in found]
        self._counts.count_one(ready.hash_type, ready.banks, [(match.bank, match.distance) for match in matches])
        return response.SerializeToString()

    def _make_ready(self, view: View, prefix: bytes, caller: Caller) -> _Ready:
        hash_type, number = _TYPES[prefix], view.generation.manifest.number
        reach = view.reach(hash_type, None, (), caller.banks)
        ready = _Ready(
            hash_type,
            LoneLookup(view, hash_type, reach),
            reach,
            view.searched_banks((), caller.banks),
            number,
            lookup_pb2.LookupResponse(generation=number, sequence=view.sequence).SerializeToString(),
        )
        known, of_view = self._known
        if known is not view:
            of_view = {}
            self._known = view, of_view
        of_view[prefix, caller.banks] = ready
        return ready
