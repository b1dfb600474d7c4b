"""A lookup as the calls that it takes, and their answers as one result. Shared by both clients."""

import operator
import time
from collections.abc import Sequence
from dataclasses import dataclass

from nearhash.v1 import lookup_pb2

from .errors import DeadlineExceeded, invalid
from .hash_types import find_hash_type
from .packing import pack
from .results import Allowed, LookupResult, Match, Unsearchable

# What a server takes in one call by default.
MAX_BATCH = 4096
LOOKUP_SERVICE = lookup_pb2.DESCRIPTOR.services_by_name["LookupService"].full_name


@dataclass(frozen=True, slots=True)
class Part:
    """One call of a lookup; its query 0 is the lookup's query `first_query`."""

    first_query: int
    request: lookup_pb2.LookupRequest


def split(
    hashes: object,
    *,
    hash_type: str,
    radius: int | None,
    banks: Sequence[str],
    max_matches_per_hash: int,
    min_sequence: int,
    max_batch: int,
) -> list[Part]:
    """Check the arguments of a lookup and return its calls, of at most `max_batch` hashes each.

    Raises
    ------
    InvalidRequest
        Naming the argument that is wrong.
    """
    known_type = find_hash_type(hash_type)
    template = lookup_pb2.LookupRequest(
        hash_type=known_type.number,
        banks=_checked_banks(banks),
        max_matches_per_hash=checked_int("max_matches_per_hash", max_matches_per_hash, 0, 2**32 - 1),
        min_sequence=checked_int("min_sequence", min_sequence, 0, 2**64 - 1),
    )
    if radius is not None:
        template.radius = checked_int("radius", radius, 0, known_type.width_bits)
    packed = pack(hashes, known_type)
    starts = range(0, len(packed) // known_type.width_bytes, max_batch)
    return [_part(template, packed, first, max_batch, known_type.width_bytes) for first in starts]


def merge(parts: Sequence[Part], responses: Sequence[lookup_pb2.LookupResponse]) -> LookupResult:
    """Return one result from the answers, in the order of `parts`, with queries numbered over the whole lookup."""
    answered = [(part.first_query, response) for part, response in zip(parts, responses, strict=True)]
    return LookupResult(
        generation=min(response.generation for response in responses),
        sequence=min(response.sequence for response in responses),
        matches=tuple(_match(first, match) for first, response in answered for match in response.matches),
        unsearchable=tuple(
            Unsearchable(first + found.query, found.reason)
            for first, response in answered
            for found in response.unsearchable
        ),
        truncated=tuple(first + query for first, response in answered for query in response.truncated),
        allowed=tuple(
            Allowed(first + item.query, item.bank, item.entry_id, item.source)
            for first, response in answered
            for item in response.allowed
        ),
    )


class Deadline:
    """A point in time that the parts of a lookup share."""

    def __init__(self, timeout_s: float | None) -> None:
        if timeout_s is not None and not timeout_s > 0:
            raise invalid("timeout_s", f"found {timeout_s}; it is a number of seconds above 0, or None for no deadline")
        self._timeout_s = timeout_s
        self._end_s = None if timeout_s is None else time.monotonic() + timeout_s

    def remaining_s(self) -> float | None:
        """Return the seconds left; None without a deadline.

        Raises
        ------
        DeadlineExceeded
            If there are none left.
        """
        if self._end_s is None:
            return None
        remaining_s = self._end_s - time.monotonic()
        if remaining_s <= 0:
            raise DeadlineExceeded(f"the lookup was not answered within timeout_s = {self._timeout_s}")
        return remaining_s


def _part(
    template: lookup_pb2.LookupRequest, packed: bytes, first_query: int, max_batch: int, width_bytes: int
) -> Part:
    request = lookup_pb2.LookupRequest()
    request.CopyFrom(template)
    request.hashes = packed[first_query * width_bytes : (first_query + max_batch) * width_bytes]
    return Part(first_query, request)


def _match(first_query: int, match: lookup_pb2.Match) -> Match:
    return Match(
        query=first_query + match.query,
        distance=match.distance,
        bank=match.bank,
        entry_id=match.entry_id,
        source=match.source,
        labels=tuple(match.labels),
        hash=match.hash or None,
    )


def _checked_banks(banks: Sequence[str]) -> list[str]:
    if isinstance(banks, str):
        raise invalid("banks", f"found the str {banks!r}; pass a sequence of names, [{banks!r}]")
    names = list(banks)
    for position, name in enumerate(names):
        if not isinstance(name, str):
            raise invalid(f"banks[{position}]", f"found {type(name).__name__}; a bank's name is a str")
    return names


def checked_int(field: str, value: int, lowest: int, highest: int) -> int:
    """Return `value` as an int, if it is one from `lowest` to `highest`, both included."""
    try:
        as_int = operator.index(value)
    except TypeError:
        raise invalid(field, f"found {type(value).__name__}; it is an int from {lowest} to {highest}") from None
    if not lowest <= as_int <= highest:
        raise invalid(field, f"found {as_int}; it is an int from {lowest} to {highest}")
    return as_int
