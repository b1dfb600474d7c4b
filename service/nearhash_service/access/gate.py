"""The gate: every call passes it, before a byte of its message is looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from nearhash_index.errors import InvalidInput
from nearhash_service.access.callers import KnownCallers, set_current_caller
from nearhash_service.access.refusals import RefusalLog
from nearhash_service.access.rights import ROLES
from nearhash_service.config import Caller
from nearhash_service.errors import Forbidden, Unauthenticated
from nearhash_service.interceptors import Handler, UnaryInterceptor

__all__ = ["Gate"]


class Gate(UnaryInterceptor):
    """Lets a call through if its caller has a role that the RPC takes, and says who that is.

    Parameters
    ----------
    known : callable
        Returns the callers known now.
    """

    def __init__(self, known: Callable[[], KnownCallers]) -> None:
        super().__init__()
        self._known = known
        self._refusals = RefusalLog()

    def wrap(self, method: str, handler: Handler) -> Handler:
        """Return a handler that takes bytes, and parses those of callers with the right."""
        behavior, parse = handler.unary_unary, handler.request_deserializer
        assert behavior is not None  # noqa: S101 - every RPC here is unary
        assert parse is not None  # noqa: S101

        def answer(message: bytes, context: grpc.ServicerContext) -> Any:
            set_current_caller(self._admitted(method, context))
            try:
                request = parse(message)
            except DecodeError:
                raise InvalidInput("request", "the message is not what the RPC takes") from None
            return behavior(request, context)

        return grpc.unary_unary_rpc_method_handler(answer, response_serializer=handler.response_serializer)

    def _admitted(self, method: str, context: grpc.ServicerContext) -> Caller:
        try:
            caller = self._known().identify(context)
        except Unauthenticated:
            self._refusals.write(method, "nobody known", context.peer())
            raise
        if ROLES.get(method, frozenset()).isdisjoint(caller.roles):
            self._refusals.write(method, caller.name, context.peer())
            raise Forbidden("this caller has no right to this RPC")
        return caller
