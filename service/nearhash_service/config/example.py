"""The configuration written out: as an example with every default, and as it is in effect."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from nearhash_service.config.sources import Loaded, sections

__all__ = ["effective", "example"]

_HEAD = """\
# Settings of `nearhash serve --config FILE`, with their defaults. The environment beats this file (server.workers is
# NEARHASH_SERVER__WORKERS), and flags beat both (--workers 2, or for any setting --set server.workers=2).
# Relative paths start at this file's folder. `nearhash config` tells what is in effect, and why.
"""


def example() -> str:
    """Return the commented example file: every key with its description and default, as a comment."""
    return "\n".join([_HEAD, *_example_lines()])


def effective(loaded: Loaded) -> str:
    """Return the values in effect as TOML, each with its origin as a comment."""
    lines = []
    for name in sections():
        lines.append(f"[{name}]")
        section = getattr(loaded.config, name)
        for key in section.__struct_fields__:
            value, origin = getattr(section, key), loaded.origins[f"{name}.{key}"]
            # TOML has no word for nothing.
            lines.append(f"# {key} is not set" if value is None else f"{key} = {_toml(value)}  # {origin}")
        lines.append("")
    return "\n".join(lines)


def _example_lines() -> Iterator[str]:
    for name, section in sections().items():
        yield f"[{name}]"
        yield f"# {section.__doc__}"
        yield ""
        hints = get_type_hints(section, include_extras=True)
        for item in msgspec.structs.fields(section):
            yield from textwrap.wrap(_description(hints[item.name]), 118, initial_indent="# ", subsequent_indent="# ")
            if item.required:
                yield f'{item.name} = "{item.name}"'
            elif item.default is None:
                yield f'# {item.name} = ""'
            else:
                yield f"# {item.name} = {_toml(item.default)}"
            yield ""


def _description(hint: Any) -> str:
    return next(str(meta.description) for meta in hint.__metadata__ if isinstance(meta, msgspec.Meta))


def _toml(value: object) -> str:
    """Write a scalar or a list of them."""
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
