"""A port of its own for health, in plain text: for probes that can neither verify TLS nor show a certificate.

Kubernetes' gRPC probes are such. Nothing else is answered there.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2_grpc

__all__ = ["HealthPort"]

_THREADS = 2
_OPTIONS = [
    # Workers share this port, too: a probe asks one of them.
    ("grpc.so_reuseport", 1),
    ("grpc.max_receive_message_length", 1024),
    ("grpc.max_allowed_incoming_connections", 64),
]


class HealthPort:
    """Answers what a servicer says.

    Parameters
    ----------
    servicer : HealthServicer
        Of the server whose health is told.
    address : str
        As gRPC writes it: "0.0.0.0:50052".
    """

    def __init__(self, servicer: health.HealthServicer, address: str) -> None:
        self._grpc = grpc.server(ThreadPoolExecutor(_THREADS, thread_name_prefix="health"), options=_OPTIONS)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, self._grpc)
        self._grpc.add_insecure_port(address)
        self._grpc.start()

    def close(self) -> None:
        """Stop answering."""
        self._grpc.stop(0).wait()
