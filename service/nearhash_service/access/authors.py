"""Who the audit log says made a change."""

from __future__ import annotations

import grpc

from nearhash.v1 import banks_pb2
from nearhash_index.store.changes import Author
from nearhash_service.access.callers import ANYBODY, certificate_names, current_caller

__all__ = ["author_of"]


def author_of(author: banks_pb2.Author, context: grpc.ServicerContext) -> Author:
    """Return who makes a change: the caller, and for whom if the message says so.

    What is proven comes first: "moderation for alice@desk". Names of callers have no blanks, so nobody can say to be
    another. Where nobody is known by name, it is who the message says, or else where the call comes from.
    """
    proven = _proven_name(context)
    if proven is None:
        return Author(author.actor or context.peer(), author.reason)
    return Author(f"{proven} for {author.actor}" if author.actor else proven, author.reason)


def _proven_name(context: grpc.ServicerContext) -> str | None:
    caller = current_caller()
    if caller is not ANYBODY:
        return caller.name
    name = next(iter(certificate_names(context)), None)
    return None if name is None else name.decode(errors="replace")
