"""A worker process: serves until told to stop, then drains."""

from __future__ import annotations

import gc
import os
import signal
from multiprocessing.connection import Connection, wait
from time import sleep

from nearhash_index.store import DataDirectory
from nearhash_service.access.followed_callers import FollowedCallers
from nearhash_service.access.followed_certificates import FollowedCertificates
from nearhash_service.answering.worker_board import WorkerBoard
from nearhash_service.config import Config, ConfigSources
from nearhash_service.metrics.instruments import Instruments
from nearhash_service.metrics.reporting import Reporter
from nearhash_service.processes.health_port import HealthPort
from nearhash_service.processes.process_name import set_process_name
from nearhash_service.processes.received_signals import receive_signals
from nearhash_service.scheduling.cores import pin
from nearhash_service.server import Server
from nearhash_service.sight.logs import set_up_logging
from nearhash_service.sight.tracing import Tracing

__all__ = ["run_worker"]

_LEAVE_S = 0.05
"""For the last answers to be sent."""


def run_worker(
    config: Config,
    supervisor: Connection,
    sources: ConfigSources | None = None,
    metrics: Connection | None = None,
    core: int | None = None,
) -> None:
    """Serve until SIGTERM, or until the supervisor is gone. Ends the process.

    Parameters
    ----------
    supervisor : Connection
        Told "ready" once calls are taken. Its end tells that the supervisor has died.
    sources : ConfigSources, optional
        Where the callers are read again when they change.
    metrics : Connection, optional
        Where the supervisor asks for metrics.
    core : int, optional
        The only one to use.
    """
    set_process_name("nearhash-worker")
    set_up_logging("worker", config.log)
    if core is not None:
        pin(core)
    # An interrupt from the terminal reaches every process; the supervisor alone acts on it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    terminated = receive_signals(signal.SIGTERM)
    instruments = Instruments()
    tracing = Tracing.to(config.tracing)
    server = Server(
        DataDirectory(config.server.data),
        config.server.listen,
        certificates=FollowedCertificates(config.tls) if config.tls.certificate else None,
        reload_interval_s=config.server.reload_interval_s,
        board=WorkerBoard(config.server.data),
        callers=FollowedCallers(config.callers, sources),
        admission=config.admission,
        max_connections=config.server.max_connections,
        instruments=instruments,
        slow_call_s=config.log.slow_call_s,
        tracing=tracing,
        kept_generations=config.publish.kept_generations,
    )
    reporter = Reporter(metrics, instruments) if metrics else None
    server.start()
    # What is here stays. To look through it for cycles would stop all calls for 25 ms, again and again.
    gc.collect()
    gc.freeze()
    health_port = HealthPort(server.told_health, config.server.health_listen) if config.server.health_listen else None
    if reporter:
        reporter.start()
    supervisor.send("ready")
    wait([terminated, supervisor])
    server.drain(delay_s=config.server.drain_delay_s, grace_s=config.server.drain_grace_s)
    if health_port:
        health_port.close()
    if reporter:
        reporter.finish()
    if tracing:
        tracing.close()
    sleep(_LEAVE_S)
    # At once, so that calls which arrive in this instant find their connection closed, and clients try again. A regular
    # shutdown of gRPC would cancel them.
    os._exit(0)
