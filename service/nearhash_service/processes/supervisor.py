"""The supervisor: starts worker processes, replaces those that die, exchanges and stops them on request."""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import wait
from operator import attrgetter
from socket import socket

from nearhash_index.errors import InvalidInput
from nearhash_index.store import DataDirectory, Registry
from nearhash_service.answering.building import AutoPublish
from nearhash_service.config import Config, ConfigSources
from nearhash_service.metrics.directory import DirectoryMetrics
from nearhash_service.metrics.exposition import expose
from nearhash_service.metrics.gathering import GatheredMetrics
from nearhash_service.metrics.instruments import Instruments
from nearhash_service.processes.addresses import reserve
from nearhash_service.processes.received_signals import receive_signals, received
from nearhash_service.processes.starting import start_process
from nearhash_service.processes.worker import run_worker
from nearhash_service.processes.workers import Start, Worker, Workers
from nearhash_service.scheduling.cores import core_of_place
from nearhash_service.scheduling.rate_limits import RateLimits

__all__ = ["serve"]

_FIXED = ("server.data", "server.listen", "server.workers", "server.port_per_worker", "metrics.listen")
"""What a running server keeps."""

_log = logging.getLogger(__name__)


def serve(sources: ConfigSources, on_ready: Callable[[Config, list[str]], None]) -> None:
    """Serve until SIGTERM or SIGINT, then drain all workers.

    On SIGHUP the configuration is read again, and the workers are exchanged one after the other, without a call that
    fails. If it is wrong, the log says why, and nothing changes.

    Parameters
    ----------
    sources : ConfigSources
    on_ready : callable
        Told configuration and addresses once every worker takes calls.

    Raises
    ------
    InvalidInput
        If the configuration is wrong, or an address cannot be listened on.
    NotADataDirectory, WrongVersion, CorruptData, StorageFailed
        If the data directory cannot be used; one is made where nothing is yet.
    """
    config = sources.load().config
    directory = DataDirectory.create(config.server.data)
    registry = Registry(directory)
    RateLimits(directory.path).reset()
    instruments = Instruments()
    gathered = GatheredMetrics(instruments)
    reservations = _reserve_all(config)
    ports = [reservation.getsockname()[1] for reservation in reservations]
    signals = receive_signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    if config.metrics.listen:
        address = expose(config.metrics.listen, [gathered, DirectoryMetrics(directory, registry)])
        _log.info("metrics at http://%s/metrics", address)

    def publish_unasked(config: Config) -> threading.Event:
        stop = threading.Event()
        if config.publish.auto:
            publisher = AutoPublish(directory, registry, config.publish, instruments)
            threading.Thread(target=publisher.run, args=(stop,), name="publish", daemon=True).start()
        return stop

    stop_publishing = publish_unasked(config)
    drain_s = config.server.drain_delay_s + config.server.drain_grace_s + 5
    workers = Workers(_starting(config, sources, ports, gathered), config.server.workers, drain_s)
    announced = False
    try:
        while True:
            wait([signals, *workers.waitables()], timeout=workers.due_in_s())
            for number in received(signals):
                if number != signal.SIGHUP:
                    return
                if reloaded := _reloaded(sources, config):
                    config = reloaded
                    stop_publishing.set()
                    stop_publishing = publish_unasked(config)
                    workers.exchange(_starting(config, sources, ports, gathered))
            workers.look_after()
            if not announced and workers.are_ready():
                announced = True
                on_ready(config, [config.listening_on(port).server.listen for port in ports])
    finally:
        stop_publishing.set()
        workers.stop()
        for reservation in reservations:
            reservation.close()


def _reserve_all(config: Config) -> list[socket]:
    """Return one port, which all workers share, or one for each."""
    host, port = config.server.host, config.server.port
    if not config.server.port_per_worker:
        return [reserve(host, port)]
    return [reserve(host, port and port + i) for i in range(config.server.workers)]


def _starting(config: Config, sources: ConfigSources, ports: list[int], gathered: GatheredMetrics) -> Start:
    """Return what starts workers with a configuration."""

    def start(place: int) -> Worker:
        ours, theirs = multiprocessing.Pipe()
        metrics = gathered.connect()
        own_config = config.listening_on(ports[place % len(ports)])
        core = core_of_place(place) if config.server.pin_workers else None
        process = start_process(run_worker, own_config, theirs, sources, metrics, core)
        theirs.close()
        metrics.close()
        return Worker(process, ours)

    return start


def _reloaded(sources: ConfigSources, config: Config) -> Config | None:
    """Return the configuration as it is now, or None if nothing can be done with it."""
    try:
        reloaded = sources.load().config
        for key in _FIXED:
            of = attrgetter(key)
            if of(reloaded) != of(config):
                raise InvalidInput(key, "it has changed, which takes a restart")
    except InvalidInput as error:
        _log.error("the configuration stays what it was: %s", error)
        return None
    _log.info("the configuration is read again; workers are exchanged")
    return reloaded
