"""The asyncio client."""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from types import TracebackType
from typing import Self, Unpack

import grpc

from nearhash.v1 import lookup_pb2, lookup_pb2_grpc

from .answers import answered_batch, merge
from .channel import MOST_CALLS, TLS, open_aio_channel
from .deadline import Deadline
from .errors import NearHashError, ServerError, Unavailable, error_from_rpc
from .gathering import GatheredCall, Gatherer, Waiting
from .patience import pause_s, raise_at_end
from .requests import BULK, LOOKUP_SERVICE, MAX_BATCH, LookupOptions, Metadata, Part, Terms, checked_int
from .results import AnsweredBatch, LookupResult
from .tokens import Token


class AsyncClient:
    """Looks hashes up on NearHash servers, from one event loop: create it where that loop runs.

    Parameters, methods, results and errors are those of `Client`.
    """

    def __init__(
        self,
        target: str | Sequence[str],
        *,
        tls: TLS | None = None,
        token: Token | None = None,
        max_batch: int = MAX_BATCH,
        max_concurrent_calls: int = 2,
        max_delay_ms: float = 0,
        max_waiting: int = 10_000,
    ) -> None:
        self._target = target
        self._gatherer = Gatherer(
            self._send_gathered,
            max_batch=max_batch,
            max_concurrent_calls=max_concurrent_calls,
            max_waiting=max_waiting,
            max_delay_ms=max_delay_ms,
        )
        self._gathered_calls: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(MOST_CALLS)
        self._channel = open_aio_channel(target, tls=tls, token=token, watched_service=LOOKUP_SERVICE)
        self._stub: lookup_pb2_grpc.LookupServiceAsyncStub = lookup_pb2_grpc.LookupServiceStub(self._channel)

    async def lookup(
        self, hashes: object, *, timeout_s: float | None = None, **options: Unpack[LookupOptions]
    ) -> LookupResult:
        """Return the entries within a Hamming radius of each hash, as `Client.lookup` does.

        The first call of a large batch that fails cancels the others and fails the lookup.
        """
        deadline = Deadline(timeout_s)
        parts = Terms(**options).split(hashes, self._gatherer.max_batch)
        if len(parts) == 1:
            return merge(parts, [await self._call(parts[0].request, deadline)])
        turn = asyncio.Semaphore(self._gatherer.max_concurrent_calls)

        async def call_in_turn(part: Part) -> lookup_pb2.LookupResponse:
            async with turn:
                return await self._call(part.request, deadline)

        try:
            async with asyncio.TaskGroup() as calls:
                tasks = [calls.create_task(call_in_turn(part)) for part in parts]
        except* NearHashError as failed:
            first_error = failed.exceptions[0]
        else:
            return merge(parts, [task.result() for task in tasks])
        raise first_error

    async def lookup_one(
        self, value: object, *, timeout_s: float | None = None, **options: Unpack[LookupOptions]
    ) -> LookupResult:
        """Look up one hash, in one call with those that other tasks look up meanwhile, as `Client.lookup_one` does."""
        deadline = Deadline(timeout_s)
        terms = Terms(**options)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[LookupResult] = loop.create_future()
        self._gatherer.add(terms.key, Waiting(terms.pack_one(value), deadline, answer))
        if self._gatherer.max_delay_s:
            loop.call_later(self._gatherer.max_delay_s, self._gatherer.begin, terms.key)
        try:
            async with asyncio.timeout(deadline.remaining_s()):
                return await answer
        except TimeoutError:
            raise deadline.exceeded() from None

    def lookup_many(
        self,
        hashes: Iterable[object] | AsyncIterable[object],
        *,
        first_query: int = 0,
        timeout_s: float | None = 60.0,
        **options: Unpack[LookupOptions],
    ) -> AsyncIterator[AnsweredBatch]:
        """Look up any number of hashes, which may come asynchronously, as `Client.lookup_many` does."""
        Deadline(timeout_s)
        first = checked_int("first_query", first_query, 0, 2**63)
        parts = Terms(**options).stream_async(hashes, self._gatherer.max_batch, first)
        return self._answer_in_order(parts, lambda: Deadline(timeout_s))

    async def ready(self, timeout_s: float) -> None:
        """Wait until a connection stands, as `Client.ready` does.

        Raises
        ------
        Unavailable
            If none stands after `timeout_s` seconds.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._channel.channel_ready()
        except TimeoutError as error:
            raise Unavailable(f"no connection to {self._target} within {timeout_s} s") from error

    async def close(self) -> None:
        """Close the connection; calls under way fail."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _call(
        self, request: lookup_pb2.LookupRequest, deadline: Deadline, metadata: Metadata = ()
    ) -> lookup_pb2.LookupResponse:
        try:
            async with asyncio.timeout(deadline.remaining_s()), self._turns:
                return await self._stub.Lookup(request, timeout=deadline.remaining_s(), metadata=metadata)
        except TimeoutError:
            raise deadline.exceeded() from None
        except grpc.aio.UsageError as error:
            raise ServerError("CANCELLED: the client was closed") from error
        except grpc.RpcError as error:
            raise error_from_rpc(error) from error

    async def _answer_in_order(
        self, parts: AsyncIterator[Part], deadline: Callable[[], Deadline]
    ) -> AsyncIterator[AnsweredBatch]:
        under_way: deque[tuple[Part, asyncio.Task[lookup_pb2.LookupResponse]]] = deque()
        try:
            async for part in parts:
                under_way.append((part, asyncio.create_task(self._call_until(part, deadline()))))
                if len(under_way) == self._gatherer.max_concurrent_calls:
                    sent, call = under_way.popleft()
                    yield answered_batch(sent, await call)
            while under_way:
                sent, call = under_way.popleft()
                yield answered_batch(sent, await call)
        finally:
            for _, call in under_way:
                call.cancel()

    async def _call_until(self, part: Part, deadline: Deadline) -> lookup_pb2.LookupResponse:
        while True:
            try:
                return await self._call(part.request, deadline, BULK)
            except NearHashError as error:
                await asyncio.sleep(pause_s(error, deadline))
                raise_at_end(error, deadline)

    def _send_gathered(self, call: GatheredCall) -> None:
        sent = asyncio.create_task(self._carry(call))
        self._gathered_calls.add(sent)
        sent.add_done_callback(self._gathered_calls.discard)

    async def _carry(self, call: GatheredCall) -> None:
        try:
            response = await self._call(call.request, call.deadline)
        except asyncio.CancelledError:
            self._gatherer.failed(call, ServerError("CANCELLED: the client was closed"))
            raise
        except Exception as error:  # noqa: BLE001 - also what a token's function raises belongs to those who wait
            self._gatherer.failed(call, error)
        else:
            self._gatherer.answered(call, response)
