"""A worker process: serves until told to stop, then drains."""

from __future__ import annotations

import logging
import signal
from multiprocessing.connection import Connection, wait

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


def run_worker(
    config: Config,
    supervisor: Connection,
    sources: ConfigSources | None = None,
    metrics: Connection | None = None,
) -> None:
    """Serve until SIGTERM, or until the supervisor is gone.

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


def _credentials(tls: TLSSection) -> grpc.ServerCredentials | None:
    if tls.certificate is None or tls.key is None:
        return None
    authority = tls.client_ca.read_bytes() if tls.client_ca else None
    return grpc.ssl_server_credentials(
        [(tls.key.read_bytes(), tls.certificate.read_bytes())],
        root_certificates=authority,
        require_client_auth=authority is not None,
    )
