"""A lookup as the calls that it takes. Shared by both clients."""

import operator
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypedDict

from nearhash.v1 import lookup_pb2

from .errors import invalid
from .hash_types import find_hash_type
from .packing import is_array, pack

# What a server takes in one call by default.
MAX_BATCH = 4096
LOOKUP_SERVICE = lookup_pb2.DESCRIPTOR.services_by_name["LookupService"].full_name

Metadata = tuple[tuple[str, str], ...]
BULK: Metadata = (("nearhash-priority", "bulk"),)
"""Sent with lookups that make way for all others."""


class LookupOptions(TypedDict, total=False):
    """What every lookup may say beside its hashes.

    Attributes
    ----------
    hash_type
        A name from `HASH_TYPES`; left out: ``"phash64"``. It cannot be inferred: an ImageHash does not know which
        function made it.
    radius
        Inclusive bound on the distance, 0 to the type's width in bits. Left out or None: each bank's own radius. Above
        a bank's radius, that bank's radius applies.
    banks
        Names of the banks to search. Left out or empty: every enabled bank that the caller may look up in.
    max_matches_per_hash
        At most this many matches per hash, nearest first. Left out or 0: the server's default.
    min_sequence
        Fail unless the answer includes every change up to this sequence. Left out or 0: no demand.
    every_hash
        Answer every hash of an entry within the radius, with its place in the entry, rather than the nearest one alone.
        For entries that are videos: each hash is a frame. Left out: False.
    """

    hash_type: str
    radius: int | None
    banks: Sequence[str]
    max_matches_per_hash: int
    min_sequence: int
    every_hash: bool


@dataclass(frozen=True, slots=True)
class Part:
    """One call of a lookup: the hashes from `first_query` up to, not including, `next_query`."""

    first_query: int
    next_query: int
    request: lookup_pb2.LookupRequest


class Terms:
    """What a lookup asks, but for its hashes. The parameters are those of `LookupOptions`.

    Attributes
    ----------
    key
        Equal for lookups that ask the same of other hashes.

    Raises
    ------
    InvalidRequest
        Naming the argument that is wrong.
    """

    def __init__(
        self,
        *,
        hash_type: str = "phash64",
        radius: int | None = None,
        banks: Sequence[str] = (),
        max_matches_per_hash: int = 0,
        min_sequence: int = 0,
        every_hash: bool = False,
    ) -> None:
        self._type = find_hash_type(hash_type)
        template = lookup_pb2.LookupRequest(
            hash_type=self._type.number,
            banks=_checked_banks(banks),
            max_matches_per_hash=checked_int("max_matches_per_hash", max_matches_per_hash, 0, 2**32 - 1),
            min_sequence=checked_int("min_sequence", min_sequence, 0, 2**64 - 1),
            every_hash=bool(every_hash),
        )
        if radius is not None:
            template.radius = checked_int("radius", radius, 0, self._type.width_bits)
        self.key = template.SerializeToString(deterministic=True)

    def pack_one(self, value: object) -> bytes:
        """Return the bytes of one hash."""
        return pack([value], self._type)

    def split(self, hashes: object, max_batch: int) -> list[Part]:
        """Return the calls for a batch of hashes, of at most `max_batch` each."""
        return list(self._parts(pack(hashes, self._type), 0, max_batch))

    def stream(self, hashes: Iterable[object], max_batch: int, first_query: int) -> Iterator[Part]:
        """Yield the calls for any number of hashes, reading no more of them than the next call takes."""
        for chunk in _chunks(hashes, max_batch):
            (part,) = self._parts(pack(chunk, self._type, first_query), first_query, max_batch)
            yield part
            first_query = part.next_query

    async def stream_async(
        self, hashes: Iterable[object] | AsyncIterable[object], max_batch: int, first_query: int
    ) -> AsyncIterator[Part]:
        """Yield what `stream` does, also for hashes that come asynchronously."""
        if not isinstance(hashes, AsyncIterable):
            for part in self.stream(hashes, max_batch, first_query):
                yield part
            return
        chunk: list[object] = []
        async for value in hashes:
            chunk.append(value)
            if len(chunk) == max_batch:
                for part in self.stream(chunk, max_batch, first_query):
                    yield part
                first_query += len(chunk)
                chunk = []
        for part in self.stream(chunk, max_batch, first_query):
            yield part

    def _parts(self, packed: bytes, first_query: int, max_batch: int) -> Iterator[Part]:
        width_bytes = self._type.width_bytes
        for start in range(0, len(packed), max_batch * width_bytes):
            hashes = packed[start : start + max_batch * width_bytes]
            next_query = first_query + len(hashes) // width_bytes
            yield Part(first_query, next_query, request_of(self.key, hashes))
            first_query = next_query


def request_of(key: bytes, packed: bytes) -> lookup_pb2.LookupRequest:
    """Return the request that asks what a `Terms.key` says of packed hashes."""
    request = lookup_pb2.LookupRequest.FromString(key)
    request.hashes = packed
    return request


def checked_int(field: str, value: int, lowest: int, highest: int) -> int:
    """Return `value` as an int, if it is one from `lowest` to `highest`, both included."""
    try:
        as_int = operator.index(value)
    except TypeError:
        raise invalid(field, f"found {type(value).__name__}; it is an int from {lowest} to {highest}") from None
    if not lowest <= as_int <= highest:
        raise invalid(field, f"found {as_int}; it is an int from {lowest} to {highest}")
    return as_int


def checked_number(field: str, value: float, lowest: float, highest: float) -> float:
    """Return `value`, if it is a number from `lowest` to `highest`, both included."""
    if not isinstance(value, int | float) or not lowest <= value <= highest:
        raise invalid(field, f"found {value!r}; it is a number from {lowest} to {highest}")
    return value


def _chunks(hashes: Any, size: int) -> Iterator[object]:
    if is_array(hashes):
        yield from (hashes[start : start + size] for start in range(0, len(hashes), size))
        return
    if isinstance(hashes, str | bytes | bytearray | memoryview) or not isinstance(hashes, Iterable):
        raise invalid("hashes", f"found {type(hashes).__name__}; pass an iterable of hashes")
    iterator = iter(hashes)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _checked_banks(banks: Sequence[str]) -> list[str]:
    if isinstance(banks, str):
        raise invalid("banks", f"found the str {banks!r}; pass a sequence of names, [{banks!r}]")
    names = list(banks)
    for position, name in enumerate(names):
        if not isinstance(name, str):
            raise invalid(f"banks[{position}]", f"found {type(name).__name__}; a bank's name is a str")
    return names
