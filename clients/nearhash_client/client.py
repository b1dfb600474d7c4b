"""The synchronous client."""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import closing
from types import TracebackType
from typing import Self, Unpack

import grpc

from nearhash.v1 import lookup_pb2, lookup_pb2_grpc

from .answers import answered_batch, merge
from .channel import MOST_CALLS, TLS, open_channel
from .deadline import Deadline
from .errors import NearHashError, ServerError, Unavailable, error_from_rpc
from .gathering import GatheredCall, Gatherer, Waiting
from .patience import pause_s, raise_at_end
from .requests import BULK, LOOKUP_SERVICE, MAX_BATCH, LookupOptions, Metadata, Part, Terms, checked_int
from .results import AnsweredBatch, LookupResult
from .tokens import Token

_Call = tuple[Part, Deadline, "grpc.Future[lookup_pb2.LookupResponse]"]


class Client:
    """Looks hashes up on NearHash servers. One client serves all threads of a process; open it after forking.

    Of lookups that take one call, at most 100 are under way; further ones wait for their turn, within their deadlines.

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
    max_concurrent_calls
        Most calls under way at once for one `lookup` or `lookup_many`, and for all `lookup_one` with equal options; at
        least 1. With several servers, some for each.
    max_delay_ms
        How long `lookup_one` waits for company although nothing is under way, in milliseconds. 0: not at all.
    max_waiting
        Most `lookup_one` that wait for calls under way to end; more are refused with `Overloaded`. At least 1.

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
        self._turns = threading.Semaphore(MOST_CALLS)
        self._is_closed = False
        self._channel = open_channel(target, tls=tls, token=token, watched_service=LOOKUP_SERVICE)
        self._stub = lookup_pb2_grpc.LookupServiceStub(self._channel)

    def lookup(
        self, hashes: object, *, timeout_s: float | None = None, **options: Unpack[LookupOptions]
    ) -> LookupResult:
        """Return the entries within a Hamming radius of each hash.

        Parameters
        ----------
        hashes
            A batch of any size, at least one. Either an iterable that may mix ints, hex digits, bytes and ImageHash
            objects, or a NumPy array with one row per hash: ``uint64[n]`` for 64 bits, ``uint64[n, words]`` with the
            most significant bits in word 0, ``uint8[n, width_bytes]``, ``bool[n, width_bits]``.
        timeout_s
            For the whole lookup, in seconds, however many calls it takes and however often they are retried. None: as
            long as the server takes.
        **options
            `hash_type`, `radius`, `banks`, `max_matches_per_hash`, `min_sequence`: see `LookupOptions`.

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
        parts = Terms(**options).split(hashes, self._gatherer.max_batch)
        if len(parts) == 1:
            return merge(parts, [self._call(parts[0].request, deadline)])
        with closing(self._calls(parts, lambda: deadline)) as calls:
            return merge(parts, [_response(call) for _, _, call in calls])

    def lookup_one(
        self, value: object, *, timeout_s: float | None = None, **options: Unpack[LookupOptions]
    ) -> LookupResult:
        """Look up one hash, in one call with those that other threads look up meanwhile.

        With nothing under way it is sent at once. Otherwise it waits until one of `max_concurrent_calls` calls with the
        same options ends, and goes with all others that wait.

        Parameters
        ----------
        value
            An int, hex digits, bytes or an ImageHash.
        timeout_s, **options
            As for `lookup`.

        Returns
        -------
        LookupResult
            With 0 as the only query.

        Raises
        ------
        Overloaded
            Also if `max_waiting` others wait.
        NearHashError
            As for `lookup`.
        """
        deadline = Deadline(timeout_s)
        terms = Terms(**options)
        answer: Future[LookupResult] = Future()
        self._gatherer.add(terms.key, Waiting(terms.pack_one(value), deadline, answer))
        if self._gatherer.max_delay_s:
            wait([answer], min(self._gatherer.max_delay_s, deadline.remaining_s() or self._gatherer.max_delay_s))
            self._gatherer.begin(terms.key)
        try:
            return answer.result(deadline.remaining_s())
        except TimeoutError:
            answer.cancel()
            raise deadline.exceeded() from None

    def lookup_many(
        self,
        hashes: Iterable[object],
        *,
        first_query: int = 0,
        timeout_s: float | None = 60.0,
        **options: Unpack[LookupOptions],
    ) -> Iterator[AnsweredBatch]:
        """Look up any number of hashes, in pieces of `max_batch`; yield the answers in order.

        At most `max_concurrent_calls` pieces are held at once. The input is read as the answers are taken. A piece that
        finds the server overloaded or unavailable is sent again, when the server asks for that, until its `timeout_s`.
        These lookups make way for all others: the server answers them as bulk.

        Parameters
        ----------
        hashes
            As for `lookup`, of any length.
        first_query
            What to call the position of the first hash, at least 0. To go on after an interruption, pass the last
            `next_query` and the hashes from there on.
        timeout_s
            For each piece, in seconds. None: as long as it takes.
        **options
            As for `lookup`.

        Yields
        ------
        AnsweredBatch
            The piece's positions and its result.

        Raises
        ------
        NearHashError
            As for `lookup`; what was yielded before is answered.
        """
        Deadline(timeout_s)
        first = checked_int("first_query", first_query, 0, 2**63)
        parts = Terms(**options).stream(hashes, self._gatherer.max_batch, first)
        return self._answer_in_order(parts, lambda: Deadline(timeout_s))

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
        """Close the connection; calls under way, and those that wait for their turn, fail."""
        self._is_closed = True
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _call(
        self, request: lookup_pb2.LookupRequest, deadline: Deadline, metadata: Metadata = ()
    ) -> lookup_pb2.LookupResponse:
        if not self._turns.acquire(timeout=deadline.remaining_s()):
            raise deadline.exceeded()
        try:
            if self._is_closed:
                raise ServerError("CANCELLED: the client was closed")
            return self._stub.Lookup(request, timeout=deadline.remaining_s(), metadata=metadata)
        except grpc.RpcError as error:
            raise error_from_rpc(error) from error
        finally:
            self._turns.release()

    def _calls(
        self, parts: Iterable[Part], deadline: Callable[[], Deadline], metadata: Metadata = ()
    ) -> Generator[_Call]:
        """Send calls ahead, and yield them in order. Those not taken are cancelled at the end."""
        under_way: deque[_Call] = deque()
        try:
            for part in parts:
                until = deadline()
                sent = self._stub.Lookup.future(part.request, timeout=until.remaining_s(), metadata=metadata)
                under_way.append((part, until, sent))
                if len(under_way) == self._gatherer.max_concurrent_calls:
                    yield under_way.popleft()
            while under_way:
                yield under_way.popleft()
        finally:
            for _, _, call in under_way:
                call.cancel()

    def _answer_in_order(self, parts: Iterator[Part], deadline: Callable[[], Deadline]) -> Iterator[AnsweredBatch]:
        with closing(self._calls(parts, deadline, BULK)) as calls:
            for part, until, call in calls:
                try:
                    response = _response(call)
                except NearHashError as error:
                    response = self._call_again(part, until, error)
                yield answered_batch(part, response)

    def _call_again(self, part: Part, deadline: Deadline, error: NearHashError) -> lookup_pb2.LookupResponse:
        while True:
            time.sleep(pause_s(error, deadline))
            raise_at_end(error, deadline)
            try:
                return self._call(part.request, deadline, BULK)
            except NearHashError as again:
                error = again

    def _send_gathered(self, call: GatheredCall) -> None:
        try:
            sent = self._stub.Lookup.future(call.request, timeout=call.deadline.remaining_s())
        except (NearHashError, ValueError) as error:
            self._gatherer.failed(call, error)
        else:
            sent.add_done_callback(lambda ended: self._receive_gathered(call, ended))

    def _receive_gathered(self, call: GatheredCall, ended: "grpc.Future[lookup_pb2.LookupResponse]") -> None:
        try:
            response = _response(ended)
        except Exception as error:  # noqa: BLE001 - also what a token's function raises belongs to those who wait
            self._gatherer.failed(call, error)
        else:
            self._gatherer.answered(call, response)


def _response(call: "grpc.Future[lookup_pb2.LookupResponse]") -> lookup_pb2.LookupResponse:
    try:
        return call.result()
    except grpc.FutureCancelledError as error:
        raise ServerError("CANCELLED: the client was closed") from error
    except grpc.RpcError as error:
        raise error_from_rpc(error) from error
