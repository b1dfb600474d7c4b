"""Running the command as an operator would, and what it must say."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from nearhash_service.cli import app

from ..service.running import command, environment


def run(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**environment(), "NO_COLOR": "1", "COLUMNS": "200", **variables},
    )


def run_here(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command in this process: to start one of its own takes longer than most commands do."""
    # Some of it prints bytes.
    stdout, stderr = (io.TextIOWrapper(io.BytesIO(), write_through=True) for _ in range(2))
    words = ["nearhash", *map(str, arguments)]
    with (
        patch.object(sys, "argv", words),
        patch.dict(os.environ, {**environment(), **variables}, clear=True),
        redirect_stdout(stdout),
        redirect_stderr(stderr),
    ):
        try:
            app.run()
        except SystemExit as ended:
            printed = (stream.buffer.getvalue().decode() for stream in (stdout, stderr))
            return subprocess.CompletedProcess(words, int(ended.code or 0), *printed)
    raise AssertionError(f"{words} did not end with an exit status")


def ok(*arguments: object) -> str:
    return _ok(run(*arguments))


def ok_here(*arguments: object) -> str:
    return _ok(run_here(*arguments))


def _ok(done: subprocess.CompletedProcess[str]) -> str:
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def failed(*arguments: object, status: int = 1) -> str:
    """Return the one line that says why."""
    return _failed(run(*arguments), status)


def failed_here(*arguments: object, status: int = 1) -> str:
    return _failed(run_here(*arguments), status)


def _failed(done: subprocess.CompletedProcess[str], status: int) -> str:
    assert done.returncode == status, done
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    if status == 1:
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
    return done.stderr


def bracketed(folder: Path, name: str) -> Path:
    """Return a path that looks like markup."""
    (folder / "[").mkdir()
    return folder / "[" / f"b]{name}"
