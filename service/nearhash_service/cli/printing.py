"""Where and how the commands print."""

from __future__ import annotations

import sys
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table

__all__ = ["errors", "local_time", "output", "table"]

_PIPE_WIDTH = 400

# Into a pipe, rows are as long as they need to be: wrapped ones could not be read by a program.
output = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False)
errors = Console(stderr=True, highlight=False)


def table(*columns: str, right: tuple[str, ...] = (), whole: tuple[str, ...] = ()) -> Table:
    """Return an empty table; the columns in `right` hold numbers, those in `whole` are not broken into lines."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        justify: JustifyMethod = "right" if name in right else "left"
        made.add_column(name, justify=justify, overflow="fold", no_wrap=name in whole)
    return made


def local_time(timestamp: Timestamp) -> str:
    """Write a time as the reader's clock shows it."""
    return datetime.fromtimestamp(timestamp.seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
