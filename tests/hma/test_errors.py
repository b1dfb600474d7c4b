"""From errors to HTTP answers."""

from __future__ import annotations

import asyncio
import json

import pytest
from starlette.requests import Request

from nearhash_client import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidRequest,
    NearHashError,
    NotFound,
    Overloaded,
    PermissionDenied,
    ServerError,
    Unavailable,
)
from nearhash_client.hashing import ImageTooLarge, ImageTooSlow, NotAnImage
from nearhash_hma.errors import answer_lookup_error

REQUEST = Request({"type": "http"})


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidRequest("why"), 400),
        (NotAnImage("why"), 400),
        (ImageTooLarge("why"), 413),
        (ImageTooSlow("why"), 413),
        (NotFound("why"), 404),
        (FailedPrecondition("why"), 409),
        (Overloaded("why"), 429),
        (Unavailable("why"), 503),
        (DeadlineExceeded("why"), 504),
        (PermissionDenied("why"), 502),
        (ServerError("why"), 502),
        (NearHashError("why"), 502),
    ],
)
def test_each_error_has_its_status(error, status):
    answer = asyncio.run(answer_lookup_error(REQUEST, error))
    assert (answer.status_code, json.loads(answer.body)) == (status, {"message": "why"})


def test_an_overloaded_servers_pause_is_passed_on_in_whole_seconds():
    answer = asyncio.run(answer_lookup_error(REQUEST, Overloaded("busy", 1.2)))
    assert answer.headers["retry-after"] == "2"
    assert "retry-after" not in asyncio.run(answer_lookup_error(REQUEST, Overloaded("busy"))).headers
