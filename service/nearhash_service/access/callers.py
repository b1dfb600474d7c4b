"""Who is calling: told from a call's token or certificate, and known to whatever answers the call.

Tokens are compared by their SHA-256, which is all that the configuration knows of them; how long the look-up of a
digest takes tells nothing about the token.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from hashlib import sha256

import grpc

from nearhash_service.config import Caller
from nearhash_service.errors import Forbidden, Unauthenticated

__all__ = ["ANYBODY", "KnownCallers", "certificate_names", "check_banks", "current_caller", "set_current_caller"]

ANYBODY = Caller(name="anybody", roles=("lookup", "admin"))
"""Who calls where no callers are configured. Stored hashes are for those who are named alone."""

_BEARER = "bearer "
_current: ContextVar[Caller] = ContextVar("caller")


def current_caller() -> Caller:
    """Return who makes the call that this thread answers; LookupError outside of one."""
    return _current.get()


def set_current_caller(caller: Caller) -> None:
    """Say who makes the call. gRPC gives each call a context of its own, so nothing is left behind for the next."""
    _current.set(caller)


def check_banks(caller: Caller, banks: Iterable[str]) -> None:
    """Raise Forbidden if the caller may not query one of the banks, whether it exists or not."""
    if caller.banks:
        for name in banks:
            if name not in caller.banks:
                raise Forbidden("banks: this caller may not query one of them")


class KnownCallers:
    """The callers of a configuration. Immutable.

    Parameters
    ----------
    callers : iterable of Caller
        If there are none, everybody is `ANYBODY`.
    """

    def __init__(self, callers: Iterable[Caller] = ()) -> None:
        callers = tuple(callers)
        self._anybody = ANYBODY if not callers else None
        self._by_token = {bytes.fromhex(value): caller for caller in callers for value in caller.token_sha256}
        self._by_certificate = {name.encode(): caller for caller in callers for name in caller.certificates}

    def identify(self, context: grpc.ServicerContext) -> Caller:
        """Return who makes a call, in about a microsecond.

        A token counts for more than a certificate, which may be that of a proxy in between.

        Raises
        ------
        Unauthenticated
            If nobody known does.
        """
        if self._anybody is not None:
            return self._anybody
        caller = None
        token = _token(context)
        if token is not None:
            caller = self._by_token.get(sha256(token.encode()).digest())
        elif self._by_certificate:
            caller = self._certified(context)
        if caller is None:
            # The same words whatever was wrong.
            raise Unauthenticated("no token or certificate of a known caller came with the call")
        return caller

    def _certified(self, context: grpc.ServicerContext) -> Caller | None:
        for name in certificate_names(context):
            if name in self._by_certificate:
                return self._by_certificate[name]
        return None


def certificate_names(context: grpc.ServicerContext) -> Iterable[bytes]:
    """Yield the names in the client's certificate, which the TLS handshake has verified."""
    # The subject alternative names if there are any: a twentieth of what the whole context costs.
    yield from context.peer_identities() or ()
    yield from map(bytes, context.auth_context().get("x509_common_name", ()))


def _token(context: grpc.ServicerContext) -> str | None:
    for key, value in context.invocation_metadata():
        if key == "authorization" and isinstance(value, str):
            return value[len(_BEARER) :] if value[: len(_BEARER)].lower() == _BEARER else ""
    return None
