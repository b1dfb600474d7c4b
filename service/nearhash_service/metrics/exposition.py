"""Telling metrics over HTTP, as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.registry import Collector

from nearhash_index.errors import InvalidInput
from nearhash_service.config import parse_address

__all__ = ["expose"]


def expose(address: str, collectors: Iterable[Collector]) -> str:
    """Serve metrics at http://ADDRESS/metrics until this process ends, from a thread of its own.

    Parameters
    ----------
    address : str
        HOST:PORT; port 0: one that is free.

    Returns
    -------
    str
        The address, with the port chosen.

    Raises
    ------
    InvalidInput
        If the address cannot be listened on.
    """
    host, port = parse_address(address, "metrics.listen")
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    try:
        server, _ = start_http_server(port, host, registry)
    except OSError as error:
        raise InvalidInput("metrics.listen", f"cannot listen on {address}: {error.strerror}") from None
    return f"{address.rpartition(':')[0]}:{server.server_port}"
