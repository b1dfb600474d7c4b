"""From errors to HTTP answers in HMA's form: the one place where that is decided."""

from __future__ import annotations

import math

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from nearhash_client import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidRequest,
    NearHashError,
    NotFound,
    Overloaded,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
)
from nearhash_client.hashing import ImageError, ImageTooLarge, ImageTooSlow

__all__ = ["Refused", "answer_http_error", "answer_lookup_error"]

# The first that fits decides: an image's errors are errors of this project, too.
_STATUSES: tuple[tuple[type[NearHashError], int], ...] = (
    (ImageTooLarge, 413),
    (ImageTooSlow, 413),
    (ImageError, 400),
    (InvalidRequest, 400),
    (NotFound, 404),
    (FailedPrecondition, 409),
    (Overloaded, 429),
    (Unavailable, 503),
    (DeadlineExceeded, 504),
    # It is the shim that the server does not let in; whoever called it can do nothing about it.
    (PermissionDenied, 502),
    (Unauthenticated, 502),
    (NearHashError, 502),
)


class Refused(HTTPException):
    """The request is wrong; the detail says how, and what would be right."""

    def __init__(self, detail: str, status_code: int = 400) -> None:
        super().__init__(status_code, detail)


async def answer_http_error(_request: Request, error: Exception) -> JSONResponse:
    """Answer what Starlette or a handler refused."""
    assert isinstance(error, HTTPException)  # noqa: S101 - what it is registered for
    return JSONResponse({"message": error.detail}, error.status_code, error.headers)


async def answer_lookup_error(_request: Request, error: Exception) -> JSONResponse:
    """Answer what the client or hashing refused."""
    status = next(status for kind, status in _STATUSES if isinstance(error, kind))
    headers = {}
    if isinstance(error, Overloaded) and error.retry_after_s is not None:
        headers["retry-after"] = str(math.ceil(error.retry_after_s))
    return JSONResponse({"message": str(error)}, status, headers)
