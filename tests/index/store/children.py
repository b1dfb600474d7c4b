"""Starting child.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_CHILD = str(Path(__file__).with_name("child.py"))


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", _CHILD, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(child: subprocess.Popen[str], *, killed: bool = False) -> list[str]:
    """Return the lines that the child wrote; fail if it failed otherwise than by our kill."""
    out, err = child.communicate(timeout=100)
    assert child.returncode == (-9 if killed else 0), err
    # A killed child may leave half a line.
    return [line.rstrip("\n") for line in out.splitlines(keepends=True) if line.endswith("\n")]


def run(*arguments: object) -> list[str]:
    return finish(start(*arguments))
