"""Signals as something to wait for, beside pipes and processes."""

from __future__ import annotations

import signal
import socket

__all__ = ["receive_signals", "received"]


def receive_signals(*numbers: signal.Signals) -> socket.socket:
    """Take over signals of this process: they no longer end it but make the socket readable. Main thread only."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    for number in numbers:
        signal.signal(number, lambda _number, _frame: None)
    # Lives as long as the process.
    signal.set_wakeup_fd(writer.detach())
    # Where workers are forked from they are blocked, and one that came since then is received now.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    return reader


def received(reader: socket.socket) -> list[signal.Signals]:
    """Return the signals that came since the last time, oldest first."""
    try:
        return [signal.Signals(number) for number in reader.recv(4096)]
    except BlockingIOError:
        return []
