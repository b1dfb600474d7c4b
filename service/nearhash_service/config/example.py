"""The configuration written out: as an example with every default, and as it is in effect."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from nearhash_service.config.callers import Caller
from nearhash_service.config.section import Section
from nearhash_service.config.sources import Loaded, sections

__all__ = ["effective", "example"]

_CALLER = {"name": "uploads", "roles": ("lookup",), "token_sha256": ("0" * 64,), "banks": ("reviewed",)}
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
            lines.append(f"# {key} is not set" if value is None else f"{key} = {_toml(value)}  # {origin}")
        lines.append("")
    for caller in loaded.config.callers:
        lines.append(f"[[callers]]  # {loaded.origins['callers']}")
        given = {key: getattr(caller, key) for key in caller.__struct_fields__}
        lines += [f"# {key} is not set" if value is None else f"{key} = {_toml(value)}" for key, value in given.items()]
        lines.append("")
    return "\n".join(lines)


def _example_lines() -> Iterator[str]:
    for name, section in sections().items():
        yield from [f"[{name}]", f"# {section.__doc__}", ""]
        for item, described in _described(section):
            yield from described
            if item.required:
                yield f'{item.name} = "{item.name}"'
            else:
                yield f"# {item.name} = {_toml(item.default)}"
            yield ""
    yield from ["# [[callers]]", f"# {Caller.__doc__}", "#"]
    for item, described in _described(Caller):
        yield from described
        yield f"# {item.name} = {_toml(_CALLER.get(item.name, item.default))}"
        yield "#"


def _described(section: type[Section]) -> Iterator[tuple[msgspec.structs.FieldInfo, list[str]]]:
    """Yield the section's keys, each with the lines that describe it."""
    hints = get_type_hints(section, include_extras=True)
    for item in msgspec.structs.fields(section):
        text = _description(hints[item.name])
        yield item, textwrap.wrap(text, 118, initial_indent="# ", subsequent_indent="# ")


def _description(hint: Any) -> str:
    return next(str(meta.description) for meta in hint.__metadata__ if isinstance(meta, msgspec.Meta))


def _toml(value: object) -> str:
    """Write a scalar or a list of them. TOML has no word for nothing."""
    if value is None:
        return '""'
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
