"""Uploads within bounds of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.datastructures import Headers, UploadFile
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import Refused

__all__ = ["BoundedBodies", "uploaded_file"]

_MAX_FIELDS = 8
_MAX_FIELD_BYTES = 64 * 1024
_FORM_BYTES = 16 * 1024
"""What a form may take beside its file."""


class BoundedBodies:
    """Refuses requests whose body is larger than a file may be, whether they announce it or not."""

    def __init__(self, app: ASGIApp, max_file_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_file_bytes + _FORM_BYTES
        self._refused = Refused(f"the upload is too large; at most {max_file_bytes} bytes are taken", 413)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received_bytes = 0
        announced = Headers(scope=scope).get("content-length", "0")
        too_large = not announced.isdecimal() or int(announced) > self._max_bytes

        async def bounded() -> Message:
            nonlocal received_bytes
            if too_large:
                raise self._refused
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > self._max_bytes:
                raise self._refused
            return message

        await self._app(scope, bounded, send)


@asynccontextmanager
async def uploaded_file(request: Request, timeout_s: float) -> AsyncIterator[tuple[str, UploadFile]]:
    """Yield the only file of a multipart form and its field's name.

    Raises
    ------
    Refused
        If there is none or more than one, or it did not arrive within `timeout_s`.
    """
    form = request.form(max_files=1, max_fields=_MAX_FIELDS, max_part_size=_MAX_FIELD_BYTES)
    try:
        async with asyncio.timeout(timeout_s):
            fields = await form
    except TimeoutError:
        raise Refused(f"the upload did not arrive within {timeout_s:g} s", 408) from None
    try:
        for name, value in fields.multi_items():
            if isinstance(value, UploadFile):
                yield name, value
                return
        raise Refused("Missing multipart/form-data file upload")
    finally:
        await fields.close()
