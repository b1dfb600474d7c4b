"""The supervisor: starts worker processes on one port, replaces those that die, and stops them on request."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from time import monotonic

from nearhash_index.errors import InvalidInput
from nearhash_index.store import DataDirectory, Registry
from nearhash_service.building import AutoPublish
from nearhash_service.config import Config, ConfigSources
from nearhash_service.metrics.directory import DirectoryMetrics
from nearhash_service.metrics.exposition import expose
from nearhash_service.metrics.gathering import GatheredMetrics
from nearhash_service.metrics.instruments import Instruments
from nearhash_service.received_signals import receive_signals
from nearhash_service.worker import run_worker

__all__ = ["serve"]

_STEADY_S = 10.0
"""A worker that lived so long is replaced at once; sooner, after a growing pause."""
_MAX_PAUSE_S = 5.0

_log = logging.getLogger(__name__)


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection
    start_s: float


def serve(sources: ConfigSources, on_ready: Callable[[Config], None]) -> None:
    """Serve until SIGTERM or SIGINT, then drain all workers.

    Parameters
    ----------
    sources : ConfigSources
    on_ready : callable
        Told once every worker takes calls; the configuration then names the port.

    Raises
    ------
    InvalidInput
        If the configuration is wrong, or the address cannot be listened on.
    NotADataDirectory, WrongVersion, CorruptData, StorageFailed
        If the data directory cannot be used; one is made where nothing is yet.
    """
    config = sources.load().config
    directory = DataDirectory.create(config.server.data)
    registry = Registry(directory)
    instruments = Instruments()
    gathered = GatheredMetrics(instruments)
    reservation = _reserve(config.server.host, config.server.port)
    config = config.listening_on(reservation.getsockname()[1])
    # Spawned, not forked: gRPC does not survive a fork.
    context = multiprocessing.get_context("spawn")
    stopped = receive_signals(signal.SIGTERM, signal.SIGINT)

    def start() -> _Worker:
        ours, theirs = context.Pipe()
        metrics = gathered.connect()
        process = context.Process(target=run_worker, args=(config, theirs, sources, metrics), name="nearhash worker")
        process.start()
        theirs.close()
        metrics.close()
        return _Worker(process, ours, monotonic())

    if config.metrics.listen:
        address = expose(config.metrics.listen, [gathered, DirectoryMetrics(directory, registry)])
        _log.info("metrics at http://%s/metrics", address)
    stop_publishing = threading.Event()
    if config.publish.auto:
        publisher = AutoPublish(directory, registry, config.publish, instruments)
        threading.Thread(target=publisher.run, args=(stop_publishing,), name="publish", daemon=True).start()
    workers = [start() for _ in range(config.server.workers)]
    try:
        _supervise(workers, start, stopped, lambda: on_ready(config))
    finally:
        stop_publishing.set()
        _stop(workers, within_s=config.server.drain_delay_s + config.server.drain_grace_s + 5)
        reservation.close()


def _supervise(
    workers: list[_Worker], start: Callable[[], _Worker], stopped: socket.socket, on_ready: Callable[[], None]
) -> None:
    """Watch until a signal comes. `workers` is kept up to date."""
    starting = set(range(len(workers)))
    announced = False
    pause_s = 0.0
    while True:
        of_connection = {workers[i].connection: i for i in starting}
        of_sentinel = {worker.process.sentinel: i for i, worker in enumerate(workers)}
        events = wait([stopped, *of_connection, *of_sentinel])
        if stopped in events:
            return
        for event in events:
            if event in of_connection:
                # Its end instead of a message: the worker died while starting, as its sentinel will tell.
                with suppress(EOFError, ConnectionResetError):
                    workers[of_connection[event]].connection.recv()
                    starting.discard(of_connection[event])
        for event in events:
            if event in of_sentinel:
                i = of_sentinel[event]
                dead = workers[i]
                pause_s = 0.0 if monotonic() - dead.start_s > _STEADY_S else min(_MAX_PAUSE_S, pause_s * 2 + 0.1)
                _log.error("worker %d ended with %s; replaced", dead.process.pid, dead.process.exitcode)
                dead.connection.close()
                if wait([stopped], timeout=pause_s):
                    return
                workers[i] = start()
                starting.add(i)
        if not starting and not announced:
            announced = True
            on_ready()


def _stop(workers: list[_Worker], within_s: float) -> None:
    deadline_s = monotonic() + within_s
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.process.join(max(0.0, deadline_s - monotonic()))
        if worker.process.is_alive():
            _log.error("worker %d did not drain in time; killed", worker.process.pid)
            worker.process.kill()
            worker.process.join()


def _reserve(host: str, port: int) -> socket.socket:
    """Bind the port for the workers, without listening, so that port 0 becomes one number for all of them.

    Workers share a port by SO_REUSEPORT, which would also let a second server creep in unnoticed: so try first whether
    somebody listens.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        if port:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        reservation = socket.socket(family, kind, protocol)
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reservation.bind(address)
    except OSError as error:
        raise InvalidInput("--listen", f"cannot listen on {host}:{port}: {error.strerror}") from None
    return reservation
