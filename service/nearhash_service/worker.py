"""A worker process: serves until told to stop, then drains."""

from __future__ import annotations

import logging
import os
import signal
from multiprocessing.connection import Connection, wait
from time import sleep

import grpc

from nearhash_index.store import DataDirectory
from nearhash_service.config import Config, ConfigSources, TLSSection
from nearhash_service.followed_callers import FollowedCallers
from nearhash_service.health_port import HealthPort
from nearhash_service.metrics.instruments import Instruments
from nearhash_service.metrics.reporting import Reporter
from nearhash_service.received_signals import receive_signals
from nearhash_service.server import Server
from nearhash_service.worker_board import WorkerBoard

__all__ = ["run_worker"]

_LEAVE_S = 0.05
"""For the last answers to be sent."""


def run_worker(
    config: Config,
    supervisor: Connection,
    sources: ConfigSources | None = None,
    metrics: Connection | None = None,
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
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s worker %(process)d %(levelname)s %(message)s")
    # An interrupt from the terminal reaches every process; the supervisor alone acts on it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    terminated = receive_signals(signal.SIGTERM)
    instruments = Instruments()
    server = Server(
        DataDirectory(config.server.data),
        config.server.listen,
        credentials=_credentials(config.tls),
        reload_interval_s=config.server.reload_interval_s,
        board=WorkerBoard(config.server.data),
        callers=FollowedCallers(config.callers, sources),
        admission=config.admission,
        max_connections=config.server.max_connections,
        instruments=instruments,
    )
    reporter = Reporter(metrics, instruments) if metrics else None
    server.start()
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
    sleep(_LEAVE_S)
    # At once, so that calls which arrive in this instant find their connection closed, and clients try again. A regular
    # shutdown of gRPC would cancel them.
    os._exit(0)


def _credentials(tls: TLSSection) -> grpc.ServerCredentials | None:
    if tls.certificate is None or tls.key is None:
        return None
    authority = tls.client_ca.read_bytes() if tls.client_ca else None
    return grpc.ssl_server_credentials(
        [(tls.key.read_bytes(), tls.certificate.read_bytes())],
        root_certificates=authority,
        require_client_auth=authority is not None,
    )
