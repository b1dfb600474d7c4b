"""The call that is being answered, for those who tell of it: logs and traces."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar, Token
from typing import Any, NamedTuple

import grpc

from nearhash_service.access.callers import current_caller

__all__ = ["CurrentCall", "LookupNote", "begin_call", "current_call", "end_call", "note_lookup"]

_MAX_ID_LENGTH = 100
_TRACE_PARENT_PARTS = 4


class LookupNote(NamedTuple):
    """What a lookup was, without its hashes."""

    hash_type: str
    query_count: int
    generation: int
    match_count: int


class CurrentCall(NamedTuple):
    """A call being answered.

    Attributes
    ----------
    method : str
        As gRPC names it: "/package.Service/Method".
    context : ServicerContext
    lookup : LookupNote, optional
        Of a lookup that was answered.
    """

    method: str
    context: grpc.ServicerContext
    lookup: LookupNote | None

    def metadata(self) -> dict[str, str]:
        """Return the text that the caller sent along, by lower-case name."""
        return {key: value for key, value in self.context.invocation_metadata() if isinstance(value, str)}

    def facts(self) -> Mapping[str, str]:
        """Return what a log record tells: who calls what from where, and the ids that the caller gave the call."""
        facts = {"method": self.method, "peer": self.context.peer()}
        with suppress(LookupError):
            facts["caller"] = current_caller().name
        metadata = self.metadata()
        if request_id := _word(metadata.get("x-request-id", "")):
            facts["request_id"] = request_id
        # W3C Trace Context: version, trace, parent and flags, with dashes between.
        trace_parent = _word(metadata.get("traceparent", "")).split("-")
        if len(trace_parent) == _TRACE_PARENT_PARTS:
            facts["trace_id"] = trace_parent[1]
        return facts


# Plain tuples and a list: their parts get names for the few who ask. gRPC gives each call a context of its own.
_call: ContextVar[tuple[str, grpc.ServicerContext, list[tuple[str, int, int, int]]] | None] = ContextVar(
    "call", default=None
)


def begin_call(method: str, context: grpc.ServicerContext) -> Token[Any]:
    """Say which call is answered from now on, until `end_call`."""
    return _call.set((method, context, []))


def end_call(token: Token[Any]) -> None:
    """Say that the call has been answered.

    Or it would hold itself: gRPC's context of a call holds the variables that hold it. It would live until the next
    garbage collection, and count as a stream of its connection, of which there may be 200.
    """
    _call.reset(token)


def note_lookup(hash_type: str, query_count: int, generation: int, match_count: int) -> None:
    """Say what the current call has looked up."""
    if call := _call.get():
        call[2].append((hash_type, query_count, generation, match_count))


def current_call() -> CurrentCall | None:
    """Return the call that is answered here, if one is."""
    if call := _call.get():
        method, context, lookups = call
        return CurrentCall(method, context, LookupNote(*lookups[-1]) if lookups else None)
    return None


def _word(text: str) -> str:
    """Return an id that is one short word; else nothing, so that a caller cannot write lines of its own into a log."""
    return text if len(text) <= _MAX_ID_LENGTH and text.isprintable() and " " not in text else ""
