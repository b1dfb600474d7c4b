"""One gRPC server: both services, health and reflection over one data directory."""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import monotonic, sleep
from types import TracebackType
from typing import Self

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from nearhash.v1 import banks_pb2, banks_pb2_grpc, lookup_pb2, lookup_pb2_grpc
from nearhash_index.errors import RegistryLost
from nearhash_index.store import KEPT_GENERATIONS, DataDirectory, Registry
from nearhash_service.access.followed_callers import FollowedCallers
from nearhash_service.access.followed_certificates import FollowedCertificates
from nearhash_service.access.gate import Gate
from nearhash_service.answering.bank_service import BankService
from nearhash_service.answering.lookup_service import LookupService
from nearhash_service.answering.quick_lookups import QuickLookups
from nearhash_service.answering.served_metrics import ServedMetrics
from nearhash_service.answering.served_view import ServedView
from nearhash_service.answering.worker_board import WorkerBoard, WorkerNote
from nearhash_service.config import AdmissionSection
from nearhash_service.errors import Unauthenticated
from nearhash_service.metrics.instruments import Instruments
from nearhash_service.scheduling.admission import Admission
from nearhash_service.scheduling.lanes import Lanes
from nearhash_service.scheduling.late_calls import LateCalls
from nearhash_service.scheduling.query_costs import CandidateSample
from nearhash_service.scheduling.rate_limits import RateLimits
from nearhash_service.scheduling.reception import Reception
from nearhash_service.sight.observing import ObservingInterceptor
from nearhash_service.sight.tracing import Tracing
from nearhash_service.status import ErrorInterceptor

__all__ = ["Server"]

_LOOK_EVERY_S = 0.005
_CLOSE_S = 1.0
_MAX_CONNECTIONS = 5000
_MAX_REFLECTIONS = 2
_STREAM_THREADS = _MAX_REFLECTIONS + 2
"""For what is not on a lane: streams of health and reflection."""
_MAX_MESSAGE_BYTES = 16 << 20
"""Above what the largest accepted batch needs, so that a larger one is refused in words."""
_LOOKUP = lookup_pb2.DESCRIPTOR.services_by_name["LookupService"].full_name
_BANKS = banks_pb2.DESCRIPTOR.services_by_name["BankService"].full_name
_REFLECTION_V1 = "grpc.reflection.v1.ServerReflection"
_OPTIONS = [
    ("grpc.so_reuseport", 1),
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_concurrent_streams", 200),
    # A client may ping while idle, as long-lived ones do, but not flood.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 30_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Connections stick to the worker that accepted them; this evens the load out over time.
    ("grpc.max_connection_age_ms", 20 * 60_000),
    ("grpc.max_connection_age_grace_ms", 60_000),
]

_log = logging.getLogger(__name__)


class Server:
    """Serves one data directory at one address, in this process.

    Parameters
    ----------
    directory : DataDirectory
    address : str
        As gRPC writes it: "127.0.0.1:50051", "unix:/path".
    certificates : FollowedCertificates, optional
        Without them, plain text.
    reload_interval_s : float, optional
        How often it looks for changes. None: it loads what is published when a call needs it, and follows nothing.
    board : WorkerBoard, optional
        Where to tell what is served.
    instruments : Instruments, optional
        What counts; without them, nobody will ask.
    callers : FollowedCallers, optional
        Who may do what; without it, everybody may do everything.
    admission : AdmissionSection, optional
    max_connections : int
    slow_call_s : float
        Lookups that take longer are logged.
    tracing : Tracing, optional

    Attributes
    ----------
    registry : Registry
    """

    def __init__(
        self,
        directory: DataDirectory,
        address: str,
        *,
        certificates: FollowedCertificates | None = None,
        reload_interval_s: float | None = 0.1,
        board: WorkerBoard | None = None,
        instruments: Instruments | None = None,
        callers: FollowedCallers | None = None,
        admission: AdmissionSection | None = None,
        max_connections: int = _MAX_CONNECTIONS,
        slow_call_s: float = math.inf,
        tracing: Tracing | None = None,
        kept_generations: int = KEPT_GENERATIONS,
    ) -> None:
        instruments = instruments or Instruments()
        self._lanes = Lanes(admission or AdmissionSection(), instruments)
        self._reception = Reception(self._lanes, instruments.refused, instruments.calls)
        self.registry = Registry(directory)
        self._served = ServedView(directory, self.registry, on_demand=reload_interval_s is None)
        instruments.own.register(ServedMetrics(self._served))
        instruments.joint.register(LateCalls(self._lanes.working()))
        self._reload_interval_s = reload_interval_s
        self._board = board
        self._callers = callers or FollowedCallers()
        self._certificates = certificates
        self._posted: WorkerNote | None = None
        self._loaded: bool | None = None
        self._health = health.HealthServicer()
        sample = CandidateSample(instruments.lookups)
        interceptors: list[grpc.ServerInterceptor] = [
            self._reception,
            ObservingInterceptor(instruments.calls, slow_call_s=slow_call_s, tracing=tracing),
            ErrorInterceptor(),
            Gate(lambda: self._callers.known),
            QuickLookups(self._served, instruments.lookups, sample),
        ]
        self._grpc = grpc.server(
            ThreadPoolExecutor(_STREAM_THREADS, thread_name_prefix="stream"),
            interceptors=interceptors,
            options=[*_OPTIONS, ("grpc.max_allowed_incoming_connections", max_connections)],
        )
        lookup_pb2_grpc.add_LookupServiceServicer_to_server(
            LookupService(
                self._served, instruments.lookups, sample, Admission(self._lanes, RateLimits(directory.path))
            ),
            self._grpc,
        )
        banks_pb2_grpc.add_BankServiceServicer_to_server(
            BankService(directory, self.registry, self._served, self._note, instruments, kept_generations), self._grpc
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._grpc)
        _add_reflection(self._grpc, self._callers)
        if certificates is None:
            self._grpc.add_insecure_port(address)
        else:
            self._grpc.add_secure_port(address, certificates.credentials())
        self._stopping = threading.Event()
        self._follower = threading.Thread(target=self._follow, name="reload", daemon=True)

    def start(self) -> None:
        """Load what is published, then take calls. Without anything published, lookups are NOT_SERVING until it is."""
        self._set_health(_BANKS, serving=True)
        if self._reload_interval_s is None:
            self._callers.refresh()
            self._set_health(_LOOKUP, serving=True)
        else:
            self._refresh()
            self._follower.start()
        self._grpc.start()

    def drain(self, *, delay_s: float, grace_s: float) -> None:
        """Tell NOT_SERVING, wait for load balancers to notice, and let calls end; at last refuse new ones.

        A refusal is worth a retry, but a client's retries last for some seconds only, and lead to this process as long
        as their connection does. So new calls are served while old ones end, and refused for the last moment.

        Parameters
        ----------
        delay_s : float
            For load balancers.
        grace_s : float
            For calls in flight, at most.
        """
        self._health.enter_graceful_shutdown()
        self._stopping.wait(delay_s)
        deadline_s = monotonic() + grace_s
        pools = [lane.pool for lane in self._lanes.working()]
        for pool in pools:
            pool.begin_epoch()
        _wait_while(lambda: any(pool.unfinished_of_before() for pool in pools), deadline_s)
        self._reception.drain()
        _wait_while(lambda: any(pool.unfinished() for pool in pools), deadline_s)
        self._stopping.set()
        if self._follower.ident is not None:
            self._follower.join()
        if self._board is not None:
            self._board.remove(os.getpid())

    def close(self) -> None:
        """End, after `drain`."""
        self._grpc.stop(_CLOSE_S).wait()
        for lane in self._lanes.all():
            lane.pool.shutdown()
        self.registry.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.drain(delay_s=0, grace_s=1)
        self.close()

    @property
    def told_health(self) -> health.HealthServicer:
        """What answers for the health, to be asked at other ports, too."""
        return self._health

    def _follow(self) -> None:
        """Follow changes until the end."""
        while not self._stopping.wait(self._reload_interval_s):
            try:
                self._refresh()
            except RegistryLost as error:
                _log.critical("This process ends, for another one to take its place: %s", error)
                os.kill(os.getpid(), signal.SIGTERM)
                return
            except Exception:  # noqa: BLE001 - it must go on: without it the worker would never change again
                _log.exception("The reload failed for a reason that nobody foresaw")

    def _refresh(self) -> None:
        self._callers.refresh()
        loaded = self._served.refresh()
        if loaded != self._loaded:
            self._set_health(_LOOKUP, serving=loaded)
            self._set_health("", serving=loaded)
            self._loaded = loaded
        note = self._note()
        if self._board is not None and note != self._posted:
            # A disk that takes no changes is told by the status; it is tried again.
            with suppress(OSError):
                self._board.post(note)
                self._posted = note

    def _note(self) -> WorkerNote:
        note = self._served.note()
        certificates = self._certificates.error if self._certificates else ""
        errors = (note.reload_error, self._callers.error, certificates)
        return note._replace(reload_error="; ".join(filter(None, errors)))

    def _set_health(self, service: str, *, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        self._health.set(service, status)


def _wait_while(condition: Callable[[], bool], deadline_s: float) -> None:
    while condition() and monotonic() < deadline_s:
        sleep(_LOOK_EVERY_S)


class _Reflection(reflection.ReflectionServicer):  # type: ignore[misc]
    """Answers reflection to known callers, few at once: each holds one of the server's threads until it ends."""

    def __init__(self, names: Iterable[str], callers: FollowedCallers) -> None:
        super().__init__(names)
        self._callers = callers
        self._free = threading.BoundedSemaphore(_MAX_REFLECTIONS)

    def ServerReflectionInfo(  # noqa: N802 - gRPC's name
        self, request_iterator: Iterator[reflection_pb2.ServerReflectionRequest], context: grpc.ServicerContext
    ) -> Iterator[reflection_pb2.ServerReflectionResponse]:
        """Answer a stream of questions."""
        try:
            self._callers.known.identify(context)
        except Unauthenticated as error:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
        if not self._free.acquire(blocking=False):
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many reflection streams are open; try again later")
        try:
            yield from super().ServerReflectionInfo(request_iterator, context)
        finally:
            self._free.release()


def _add_reflection(server: grpc.Server, callers: FollowedCallers) -> None:
    """Answer reflection under its old name, v1alpha, and its new one, v1. The messages are the same on the wire."""
    names = (_LOOKUP, _BANKS, health.SERVICE_NAME, reflection.SERVICE_NAME, _REFLECTION_V1)
    servicer = _Reflection(names, callers)
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)
    method = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(_REFLECTION_V1, {"ServerReflectionInfo": method}),)
    )
