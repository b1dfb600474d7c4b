"""What stands around every RPC, wrapped once per method and not once per call."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeAlias

import grpc

__all__ = ["Handler", "UnaryInterceptor"]

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class UnaryInterceptor(grpc.ServerInterceptor, ABC):
    """Wraps the unary RPCs of this project's services; health and reflection pass it by.

    The wrapped handler is kept, so interceptors further in are not asked again: they have to be of this class, too.
    """

    def __init__(self) -> None:
        self._wrapped: dict[str, Handler] = {}

    @abstractmethod
    def wrap(self, method: str, handler: Handler) -> Handler:
        """Return what answers the method, such as "/nearhash.v1.LookupService/Lookup", in place of the handler."""

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Handler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Return the wrapped handler."""
        method = handler_call_details.method
        if method in self._wrapped:
            return self._wrapped[method]
        handler = continuation(handler_call_details)
        if handler is None or not method.startswith("/nearhash.v1."):
            return handler
        # Two threads at once would wrap alike.
        self._wrapped[method] = self.wrap(method, handler)
        return self._wrapped[method]
