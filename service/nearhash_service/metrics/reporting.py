"""A worker's end of the pipe over which the supervisor asks for metrics."""

from __future__ import annotations

import threading
from contextlib import suppress
from multiprocessing.connection import Connection

from nearhash_service.metrics.instruments import Instruments
from nearhash_service.metrics.sums import Snapshot, take_snapshot

__all__ = ["Report", "Reporter"]

Report = tuple[Snapshot, bool]
"""What a worker tells: its metrics, and whether it is about to end."""


class Reporter:
    """Answers the supervisor's questions, from a thread of its own.

    Parameters
    ----------
    connection : Connection
        Every message is a question. The first report is sent unasked: from then on the worker can be asked.
    instruments : Instruments
    """

    def __init__(self, connection: Connection, instruments: Instruments) -> None:
        self._connection = connection
        self._instruments = instruments
        self._sending = threading.Lock()

    def start(self) -> None:
        """Begin to answer."""
        threading.Thread(target=self._answer, name="metrics", daemon=True).start()

    def finish(self) -> None:
        """Report for the last time, so that nothing that was counted gets lost."""
        with suppress(OSError):
            self._send(last=True)

    def _answer(self) -> None:
        # The supervisor's end, or this process's.
        with suppress(EOFError, OSError):
            while True:
                self._send(last=False)
                self._connection.recv_bytes()

    def _send(self, *, last: bool) -> None:
        report: Report = take_snapshot(self._instruments.own, self._instruments.joint), last
        with self._sending:
            self._connection.send(report)
