"""Bearer tokens: where they come from, and how calls carry them."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from .errors import invalid

Token = str | os.PathLike[str] | Callable[[], str]
"""A token, a file that holds one, or a function that returns one."""

# RFC 6750, section 2.1. Above all no line break, which would end the header.
_BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*")


def token_source(token: Token) -> Callable[[], str]:
    """Return a function that gives the token for the next call.

    Parameters
    ----------
    token
        A str is the token. A path is a file with nothing else in it, read again when it changes. A function is asked
        before each call, by the calling thread or in the event loop: it should answer at once.

    Raises
    ------
    InvalidRequest
        If the token, or what the file holds, is no bearer token. The message does not repeat it.
    OSError
        If the file cannot be read now. Once it was read, a file that is gone or wrong leaves the last good token.
    """
    if isinstance(token, str):
        checked = _checked(token, "token")
        return lambda: checked
    if callable(token):
        return lambda: _checked(token(), "token()")
    return _TokenFile(Path(token))


class _TokenFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = self._read()

    def __call__(self) -> str:
        try:
            if _identity(self._path) != self._last[0]:
                self._last = self._read()
        except (OSError, ValueError):
            # Whoever replaces it may be half-way; the server says if the last one no longer does.
            pass
        return self._last[1]

    def _read(self) -> tuple[tuple[int, ...], str]:
        # What changes while it is read is read again with the next call.
        identity = _identity(self._path)
        return identity, _checked(self._path.read_text(encoding="utf-8").strip(), f"token file {self._path}")


def _identity(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size


def _checked(token: str, where: str) -> str:
    if not isinstance(token, str) or not _BEARER.fullmatch(token):
        raise invalid(where, "found no bearer token; it consists of letters, digits and -._~+/, and may end in =")
    return token


class _WithToken:
    """Adds the token to a call's metadata."""

    def __init__(self, source: Callable[[], str]) -> None:
        self._source = source

    def _extended(self, details: Any) -> Any:
        metadata = [*(details.metadata or ()), ("authorization", f"Bearer {self._source()}")]
        return details._replace(metadata=metadata)


class TokenInterceptor(_WithToken, grpc.UnaryUnaryClientInterceptor):
    """Gives each call of a channel the token that a function returns."""

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """Go on with the call, with the token."""
        return continuation(self._extended(client_call_details), request)


class AioTokenInterceptor(_WithToken, grpc.aio.UnaryUnaryClientInterceptor):
    """Gives each call of an asyncio channel the token that a function returns."""

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """Go on with the call, with the token."""
        return await continuation(self._extended(client_call_details), request)
