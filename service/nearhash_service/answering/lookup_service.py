"""LookupService: from the bytes of a request to the engine, and back."""

from __future__ import annotations

from contextlib import closing
from itertools import chain

import grpc

from nearhash.v1 import lookup_pb2, lookup_pb2_grpc
from nearhash_index.codes import codes_from_bytes, count_hashes
from nearhash_index.errors import InvalidInput, SequenceNotReached
from nearhash_index.hash_types import HashType
from nearhash_index.lookup import lookup_in_blocks
from nearhash_service.access.callers import check_banks, current_caller
from nearhash_service.answering.lookup_answers import add_found, add_matches
from nearhash_service.answering.served_view import ServedView
from nearhash_service.answering.wire_types import hash_type_of
from nearhash_service.metrics.lookups import LookupCounts
from nearhash_service.scheduling.admission import Admission
from nearhash_service.scheduling.query_costs import CandidateSample, QueryCosts
from nearhash_service.sight.current_call import note_lookup

__all__ = ["MAX_BATCH", "LookupService"]

MAX_BATCH = 16_384
"""Hashes per call."""
_DEFAULT_MATCHES_PER_HASH = 100
_MAX_MATCHES_PER_HASH = 10_000
_MAX_BANKS = 1000


class LookupService(lookup_pb2_grpc.LookupServiceServicer):
    """Answers each call from one view, in blocks as they are admitted."""

    def __init__(self, served: ServedView, counts: LookupCounts, sample: CandidateSample, admission: Admission) -> None:
        self._served, self._counts, self._sample = served, counts, sample
        self._admission = admission
        self._costs = QueryCosts()

    def Lookup(  # noqa: N802 - gRPC's name
        self, request: lookup_pb2.LookupRequest, context: grpc.ServicerContext
    ) -> lookup_pb2.LookupResponse:
        """Look a batch of hashes up."""
        hash_type = hash_type_of(request.hash_type, "hash_type")
        hashes = request.hashes
        count = _count(hashes, hash_type)
        max_matches = _max_matches(request.max_matches_per_hash)
        banks = tuple(request.banks)
        if len(banks) > _MAX_BANKS:
            raise InvalidInput("banks", f"{len(banks)} names; name at most {_MAX_BANKS}, or none for all")
        caller = current_caller()
        check_banks(caller, banks)
        view = self._served.get()
        if request.min_sequence > view.sequence:
            raise SequenceNotReached(
                f"min_sequence: {request.min_sequence} is not reached yet; this is {view.sequence}"
            )
        radius = request.radius if request.HasField("radius") else None
        reach = view.reach(hash_type, radius, banks, caller.banks)
        response = lookup_pb2.LookupResponse(generation=view.generation.manifest.number, sequence=view.sequence)
        quick = None if request.every_hash or caller.read_hashes else reach.quick
        query_s = self._costs.query_s(view, hash_type, reach.widest)
        matches: list[tuple[str, int, int]] = []
        # Closed, so that its turn is over even if it fails.
        with closing(self._admission.blocks(context, count, query_s)) as blocks:
            first = next(blocks)
            few = quick.find(hashes) if quick else None
            if few is not None and len(few) <= max_matches:
                matches = add_matches(response, view, few)
            else:
                for found in lookup_in_blocks(
                    view,
                    hash_type,
                    codes_from_bytes(hashes, hash_type),
                    chain([first], blocks),
                    reach=reach,
                    max_matches=max_matches,
                    every_hash=request.every_hash,
                ):
                    matches += add_found(response, view, hash_type, found, caller)
        self._counts.count(hash_type, view.searched_banks(banks, caller.banks), count, matches, response)
        if next(self._sample.turns):
            self._sample.take(view, hash_type, hashes, reach)
        note_lookup(hash_type.name, count, response.generation, len(matches))
        return response


def _count(hashes: bytes, hash_type: HashType) -> int:
    """Return the number of hashes."""
    count = count_hashes(hashes, hash_type)
    if not count:
        raise InvalidInput("hashes", f"empty; send 1 to {MAX_BATCH} hashes")
    if count > MAX_BATCH:
        raise InvalidInput("hashes", f"{count} hashes; send at most {MAX_BATCH} in one call")
    return count


def _max_matches(asked: int) -> int:
    if asked > _MAX_MATCHES_PER_HASH:
        raise InvalidInput("max_matches_per_hash", f"{asked} is too many; use 0 to {_MAX_MATCHES_PER_HASH}")
    return asked or _DEFAULT_MATCHES_PER_HASH
