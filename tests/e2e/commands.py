"""Running the command as an operator would, and what it must say."""

from __future__ import annotations

import subprocess
from pathlib import Path

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


def ok(*arguments: object) -> str:
    done = run(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def failed(*arguments: object, status: int = 1) -> str:
    """Return the one line that says why."""
    done = run(*arguments)
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
