"""The synchronous client."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

import grpc

from nearhash.v1 import lookup_pb2_grpc

from .batches import LOOKUP_SERVICE, MAX_BATCH, Deadline, checked_int, merge, split
from .channel import TLS, open_channel
from .errors import Unavailable, error_from_rpc
from .results import LookupResult
from .tokens import Token


class Client:
    """Looks hashes up on a NearHash server. One client serves all threads of a process; open it after forking.

    Parameters
    ----------
    target
        gRPC's name of the server: ``host:port``, ``dns:///host:port`` or ``unix:/path``; or several servers, each an IP
        address with its port: ``["10.0.0.1:50051", "10.0.0.2:50051"]``. Calls go round robin over all addresses. Of
        several servers, in a list or under ``dns:///``, those that say that they do not serve get none.
    tls
        None sends everything in plain text: only for loopback, a Unix socket, or a network that encrypts by itself.
    token
        A bearer token: the token itself (str), a file that holds it (path, read again when it changes), or a function
        that returns it at once, asked before each call. Never sent in plain text, except on this machine.
    max_batch
        Most hashes in one call, at least 1. A server refuses more than it is configured for.

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
    ) -> None:
        self._target = target
        self._max_batch = checked_int("max_batch", max_batch, 1, 2**31 - 1)
        self._channel = open_channel(target, tls=tls, token=token, watched_service=LOOKUP_SERVICE)
        self._stub = lookup_pb2_grpc.LookupServiceStub(self._channel)

    def lookup(
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

        Parameters
        ----------
        hashes
            A batch of any size, at least one. Either an iterable that may mix ints, hex digits, bytes and ImageHash
            objects, or a NumPy array with one row per hash: ``uint64[n]`` for 64 bits, ``uint64[n, words]`` with the
            most significant bits in word 0, ``uint8[n, width_bytes]``, ``bool[n, width_bits]``.
        hash_type
            A name from `HASH_TYPES`. It cannot be inferred: an ImageHash does not know which function made it.
        radius
            Inclusive bound on the distance, 0 to the type's width in bits. None: each bank's own radius. Above a
            bank's radius, that bank's radius applies.
        banks
            Names of the banks to search. Empty: every enabled bank.
        max_matches_per_hash
            At most this many matches per hash, nearest first. 0: the server's default.
        min_sequence
            Fail unless the answer includes every change up to this sequence. 0: no demand.
        timeout_s
            For the whole lookup, in seconds, however many calls it takes and however often they are retried. None: as
            long as the server takes.

        Returns
        -------
        LookupResult
            Queries are positions in `hashes`.

        Raises
        ------
        InvalidRequest
            If an argument is wrong; most are found before anything is sent.
        NotFound
            If a bank does not exist.
        FailedPrecondition
            If a bank is disabled or `min_sequence` is not reached yet.
        DeadlineExceeded
            If `timeout_s` passed.
        Overloaded
            If the server sheds load.
        Unavailable
            If nobody answers, or nothing is published, also after the retries.
        NearHashError
            For everything else that went wrong in the call: see `nearhash_client.errors`.
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
        try:
            responses = [self._stub.Lookup(part.request, timeout=deadline.remaining_s()) for part in parts]
        except grpc.RpcError as error:
            raise error_from_rpc(error) from error
        return merge(parts, responses)

    def ready(self, timeout_s: float) -> None:
        """Wait until a connection stands. It says nothing about whether a generation is published yet.

        Parameters
        ----------
        timeout_s
            In seconds.

        Raises
        ------
        Unavailable
            If none stands by then.
        """
        connected = grpc.channel_ready_future(self._channel)
        try:
            connected.result(timeout=timeout_s)
        except grpc.FutureTimeoutError as error:
            connected.cancel()
            raise Unavailable(f"no connection to {self._target} within {timeout_s} s") from error

    def close(self) -> None:
        """Close the connection; calls under way fail."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
