"""Who runs the command, for the audit log."""

from __future__ import annotations

import getpass
import os
import socket

from nearhash.v1 import banks_pb2

__all__ = ["author"]


def author(reason: str) -> banks_pb2.Author:
    """Return the user at this machine, with a reason."""
    return banks_pb2.Author(actor=f"{_user()}@{socket.gethostname()}", reason=reason)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # In a container, users often have no name.
        return f"uid-{os.getuid()}"
