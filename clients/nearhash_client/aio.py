"""The asyncio client."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import grpc

from nearhash.v1 import lookup_pb2, lookup_pb2_grpc

from .batches import LOOKUP_SERVICE, MAX_BATCH, Deadline, Part, checked_int, merge, split
from .channel import TLS, open_aio_channel
from .errors import NearHashError, Unavailable, error_from_rpc
from .results import LookupResult
from .tokens import Token


class AsyncClient:
    """Looks hashes up on a NearHash server, from one event loop: create it where that loop runs.

    Parameters
    ----------
    target, tls, token, max_batch
        As for `Client`.
    max_concurrent_calls
        Most calls under way at once for one lookup, at least 1.

    Raises
    ------
    InvalidRequest
        If an argument is wrong, or the token would leave this machine in plain text.
    OSError
        If the token's file cannot be read.
    """

    def __init__(
        self,
        target: str | Sequence[str],
        *,
        tls: TLS | None = None,
        token: Token | None = None,
        max_batch: int = MAX_BATCH,
        max_concurrent_calls: int = 4,
    ) -> None:
        self._target = target
        self._max_batch = checked_int("max_batch", max_batch, 1, 2**31 - 1)
        self._max_concurrent_calls = checked_int("max_concurrent_calls", max_concurrent_calls, 1, 2**31 - 1)
        self._channel = open_aio_channel(target, tls=tls, token=token, watched_service=LOOKUP_SERVICE)
        self._stub: lookup_pb2_grpc.LookupServiceAsyncStub = lookup_pb2_grpc.LookupServiceStub(self._channel)

    async def lookup(
        self,
        hashes: object,
        *,
        hash_type: str = "phash64",
        radius: int | None = None,
        banks: Sequence[str] = (),
        max_matches_per_hash: int = 0,
        min_sequence: int = 0,
        timeout_s: float | None = None,
    ) -> LookupResult:
        """Return the entries within a Hamming radius of each hash.

        Parameters, result and errors are those of `Client.lookup`. The calls of a large batch run concurrently; the
        first to fail cancels the others and fails the lookup.
        """
        deadline = Deadline(timeout_s)
        parts = split(
            hashes,
            hash_type=hash_type,
            radius=radius,
            banks=banks,
            max_matches_per_hash=max_matches_per_hash,
            min_sequence=min_sequence,
            max_batch=self._max_batch,
        )
        turn = asyncio.Semaphore(self._max_concurrent_calls)
        try:
            async with asyncio.TaskGroup() as calls:
                tasks = [calls.create_task(self._call(part, deadline, turn)) for part in parts]
        except* NearHashError as failed:
            first_error = failed.exceptions[0]
        else:
            return merge(parts, [task.result() for task in tasks])
        raise first_error

    async def _call(self, part: Part, deadline: Deadline, turn: asyncio.Semaphore) -> lookup_pb2.LookupResponse:
        async with turn:
            try:
                return await self._stub.Lookup(part.request, timeout=deadline.remaining_s())
            except grpc.RpcError as error:
                raise error_from_rpc(error) from error

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
