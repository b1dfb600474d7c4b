"""What the pages of the documentation show: blocks of code, sessions in a terminal, and what these print."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
WRITTEN_TARGET = "127.0.0.1:50051"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Step:
    """A command of a session, and what the page says that it prints."""

    command: str
    output: tuple[str, ...]


def blocks(page: str, language: str) -> list[str]:
    return [text for of, text in _BLOCK.findall((ROOT / page).read_text()) if of == language]


def python_examples(page: str, target: str) -> list[tuple[str, str | None]]:
    """Return each block of Python of a page, with the output that follows it, if one does."""
    found = _BLOCK.findall((ROOT / page).read_text().replace(WRITTEN_TARGET, target))
    following = [*found[1:], ("", "")]
    return [
        (code, output if kind == "" and output else None)
        for (language, code), (kind, output) in zip(found, following, strict=True)
        if language == "python"
    ]


def steps(page: str) -> Iterator[Step]:
    """Yield all that is typed on a page, in order."""
    for session in blocks(page, "console"):
        for part in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]:
            command, _, output = part.replace("\\\n", " ").partition("\n")
            yield Step(re.sub(r"\s+#\s.*", "", command), tuple(output.splitlines()))
