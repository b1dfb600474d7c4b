"""HMA's matching endpoints, as far as a platform's uploads go through them."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from nearhash_client import AsyncClient, DeadlineExceeded, LookupResult, Match, NearHashError, Unavailable
from nearhash_client.hashing import HashingPool, Limits

from .errors import Refused, answer_http_error, answer_lookup_error
from .signals import content_signals, hash_type_of
from .uploads import BoundedBodies, uploaded_file

__all__ = ["Bounds", "make_app"]

_NO_DIGEST = "0" * 32
"""An MD5 that is on no list; a lookup of it tells whether the server answers."""


@dataclass(frozen=True)
class Bounds:
    """Bounds on what a request may cost.

    Attributes
    ----------
    timeout_s
        For a lookup, for an upload to arrive, and for it to be hashed, each.
    max_file_bytes, max_pixels
        Of an uploaded file, inclusive.
    """

    timeout_s: float = 10.0
    max_file_bytes: int = 32 * 1024 * 1024
    max_pixels: int = 32 * 1024 * 1024


def make_app(client: AsyncClient, pool: HashingPool, bounds: Bounds) -> Starlette:
    """Return the application; it looks up with `client` and hashes in `pool`, and closes neither."""
    app = Starlette(
        routes=[
            Route("/m/raw_lookup", raw_lookup),
            Route("/m/lookup", lookup, methods=["GET"]),
            Route("/m/lookup", lookup_file, methods=["POST"]),
            Route("/status", status),
            Route("/readyz", status),
            Route("/livez", live),
        ],
        middleware=[Middleware(BoundedBodies, max_file_bytes=bounds.max_file_bytes)],
        exception_handlers={HTTPException: answer_http_error, NearHashError: answer_lookup_error},
    )
    app.state.matcher = Matcher(client, pool, bounds)
    return app


class Matcher:
    """Looks up signals, and hashes files: as many at once as the pool has processes."""

    def __init__(self, client: AsyncClient, pool: HashingPool, bounds: Bounds) -> None:
        self._client = client
        self._pool = pool
        self._hashing = CapacityLimiter(pool.processes)
        self.bounds = bounds

    async def lookup(self, signal: str, signal_type: str, banks: tuple[str, ...] = ()) -> LookupResult:
        """Look up a signal in hexadecimal digits, in one call with those that other requests look up meanwhile."""
        hash_type = hash_type_of(signal_type)
        return await self._client.lookup_one(signal, hash_type=hash_type, banks=banks, timeout_s=self.bounds.timeout_s)

    async def signals(self, request: Request) -> dict[str, str]:
        """Return the signals of the uploaded file by type."""
        async with uploaded_file(request, self.bounds.timeout_s) as (content_type, upload):
            wanted = content_signals(content_type, request.query_params.get("types"))
            limits = Limits(max_pixels=self.bounds.max_pixels, max_bytes=self.bounds.max_file_bytes)
            hash_types = [hash_type_of(name) for name in wanted]
            hashes = await to_thread.run_sync(
                # In a process of its own: a decoder may run for minutes on what strangers send, or crash.
                lambda: self._pool.compute(upload.file.read(), hash_types, limits=limits),
                limiter=self._hashing,
            )
        return {name: computed.hex for name, computed in zip(wanted, hashes, strict=True)}


async def raw_lookup(request: Request) -> Response:
    """Answer the entries near a signal: ``signal``, ``signal_type``; ``include_distance``, ``banks``."""
    signal, signal_type = required(request, "signal"), required(request, "signal_type")
    with_distance = boolean(request.query_params.get("include_distance", "false"))
    result = await matcher_of(request).lookup(signal, signal_type, banks_of(request))
    ids = [content_id(match) for match in result.matches]
    if with_distance:
        # HMA answers distances as text.
        pairs = zip(ids, result.matches, strict=True)
        matches: list[object] = [{"content_id": each, "distance": str(match.distance)} for each, match in pairs]
    else:
        matches = list(ids)
    return JSONResponse({"matches": matches}, headers=notes({signal_type: result}))


async def lookup(request: Request) -> Response:
    """Answer the banks with entries near a signal: ``signal``, ``signal_type``; ``banks``."""
    if "url" in request.query_params:
        raise Refused("url: nothing is fetched here; POST the file, or look up its signal")
    signal, signal_type = required(request, "signal"), required(request, "signal_type")
    result = await matcher_of(request).lookup(signal, signal_type, banks_of(request))
    return JSONResponse(bank_names(result), headers=notes({signal_type: result}))


async def lookup_file(request: Request) -> Response:
    """Answer the banks with entries near an uploaded file, by signal type: ``types``, ``banks``."""
    matcher = matcher_of(request)
    signals = await matcher.signals(request)
    results = {name: await matcher.lookup(signal, name, banks_of(request)) for name, signal in signals.items()}
    return JSONResponse({name: bank_names(result) for name, result in results.items()}, headers=notes(results))


async def status(request: Request) -> Response:
    """Tell whether lookups are answered."""
    try:
        await matcher_of(request).lookup(_NO_DIGEST, "md5")
    except (Unavailable, DeadlineExceeded):
        return PlainTextResponse("INDEX-NOT-LOADED", HTTPStatus.SERVICE_UNAVAILABLE)
    return PlainTextResponse("I-AM-ALIVE" if request.url.path == "/status" else "READY")


async def live(_request: Request) -> Response:
    """Tell that this process runs."""
    return PlainTextResponse("OK")


def matcher_of(request: Request) -> Matcher:
    """Return what answers."""
    matcher: Matcher = request.app.state.matcher
    return matcher


def required(request: Request, name: str) -> str:
    """Return a parameter; refuse the request without."""
    value = request.query_params.get(name)
    if value is None:
        raise Refused(f"{name} is required")
    return value


def boolean(text: str) -> bool:
    """Read true, false, 1 or 0."""
    if text.lower() not in {"true", "1", "false", "0"}:
        raise Refused("invalid boolean parameter - prefer true/false")
    return text.lower() in {"true", "1"}


def banks_of(request: Request) -> tuple[str, ...]:
    """Return the banks to search: of parameters ``banks``, each with names separated by commas. None: every bank."""
    return tuple(name for names in request.query_params.getlist("banks") for name in names.split(",") if name)


def content_id(match: Match) -> int | str:
    """Return the entry's id: as a number if it is one, as HMA's are."""
    digits = match.entry_id
    return int(digits) if digits.isascii() and digits.isdigit() and str(int(digits)) == digits else digits


def bank_names(result: LookupResult) -> list[str]:
    """Return the banks of the matches, each once, the nearest match's first."""
    return list(dict.fromkeys(match.bank for match in result.matches))


def notes(results: dict[str, LookupResult]) -> dict[str, str]:
    """Return a header for what HMA's answers have no place for: "not searched" is not "no match"."""
    told = [f"{name}: not searched, {item.reason}" for name, result in results.items() for item in result.unsearchable]
    told += [f"{name}: there are more matches" for name, result in results.items() if result.truncated]
    return {"nearhash-note": "; ".join(told)} if told else {}
