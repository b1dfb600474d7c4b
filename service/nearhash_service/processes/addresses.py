"""Ports, bound for the workers before they start."""

from __future__ import annotations

import socket

from nearhash_index.errors import InvalidInput

__all__ = ["reserve"]


def reserve(host: str, port: int) -> socket.socket:
    """Bind a port for workers, without listening, so that port 0 becomes one number for all of them.

    Workers share a port by SO_REUSEPORT, which would also let a second server creep in unnoticed: so try first whether
    somebody listens.

    Raises
    ------
    InvalidInput
        If the address cannot be listened on.
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
