"""Where and how the commands print."""

from __future__ import annotations

import sys
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from rich import box
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

__all__ = ["errors", "local_time", "output", "print_error", "table"]

_PIPE_WIDTH = 400

# Into a pipe, rows are as long as they need to be: wrapped ones could not be read by a program. No markup: names, ids
# and paths are printed as they are, brackets and all.
output = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False, markup=False, emoji=False)
errors = Console(stderr=True, highlight=False, markup=False, emoji=False)


def table(*columns: str, right: tuple[str, ...] = (), whole: tuple[str, ...] = ()) -> Table:
    """Return an empty table; the columns in `right` hold numbers, those in `whole` are not broken into lines."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        justify: JustifyMethod = "right" if name in right else "left"
        made.add_column(name, justify=justify, overflow="fold", no_wrap=name in whole)
    return made


def print_error(error: Exception) -> None:
    """Print an error in one line."""
    errors.print(Text.assemble(("error:", "bold red"), " ", " ".join(str(error).split("\n"))), soft_wrap=True)


def local_time(timestamp: Timestamp) -> str:
    """Write a time as the reader's clock shows it."""
    return datetime.fromtimestamp(timestamp.seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
