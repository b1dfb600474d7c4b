"""Typing what a page shows, and comparing what is printed with what the page says."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterable
from pathlib import Path

from ..e2e.commands import run_here
from .pages import WRITTEN_TARGET, Step

# What is another each time, or on another machine.
_VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}"), "TIME"),
    (re.compile(r"\b[0-9a-f]{16,}\b"), "HASH"),
    (re.compile(r"\S+@\S+"), "WHO"),
    (re.compile(r"\d+\.\d MB"), "SIZE"),
    (re.compile(r"─+"), " "),
)
_NUMBER = re.compile(r"\b[\d,]*\d\b")


def is_nearhash(step: Step) -> bool:
    return re.match(r"([A-Z_]+=\S+ )*nearhash ", step.command) is not None


def type_in(step: Step, target: str = WRITTEN_TARGET, *, numbers: bool = True, shows: str | None = None) -> None:
    """Run a command in this folder, and compare what it prints.

    Parameters
    ----------
    target
        The server that the page calls by `WRITTEN_TARGET`.
    numbers
        Whether numbers, too, are those of the page.
    shows
        What is printed, in between, where the page leaves it out.
    """
    if is_nearhash(step):
        words = shlex.split(step.command.replace(WRITTEN_TARGET, target))
        at = words.index("nearhash")
        variables = dict(word.split("=", 1) for word in words[:at])
        if not {"--data", "--target"}.intersection(words):
            variables["NEARHASH_TARGET"] = target
        done = run_here(*words[at + 1 :], **variables)
        printed = (done.stderr + done.stdout).replace(target, WRITTEN_TARGET)
    else:
        shell = ["/bin/sh", "-c", step.command]
        printed = subprocess.run(shell, check=True, capture_output=True, text=True, timeout=20).stdout
    if shows is not None:
        assert shows in printed, f"$ {step.command}\n{printed}"
        return
    # Where a terminal breaks lines is its own affair.
    expected, found = (_stable(text, numbers=numbers) for text in ("\n".join(step.output), printed))
    pattern = re.escape(expected).replace(re.escape("..."), ".*")
    assert re.fullmatch(pattern, found), f"$ {step.command}\n{printed}"


def accepts(step: Step) -> str:
    """Return why the command line would not take a command with its options; empty if it would."""
    words = shlex.split(step.command)
    # That help is asked for is seen when all options are read, and before anything is done.
    done = run_here(*words[words.index("nearhash") + 1 :], "--help")
    return "" if done.returncode == 0 else done.stderr


def write_shown_files(steps: Iterable[Step]) -> None:
    """Write the files that a page shows by `cat`."""
    for step in steps:
        if step.command.startswith("cat "):
            Path(step.command.removeprefix("cat ")).write_text("\n".join(step.output) + "\n")


def _stable(text: str, *, numbers: bool) -> str:
    for pattern, name in _VARYING:
        text = pattern.sub(name, text)
    return " ".join((text if numbers else _NUMBER.sub("N", text)).split())
