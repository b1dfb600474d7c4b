"""From a file, the environment and flags to one validated configuration that knows where each value comes from."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from nearhash_index.errors import InvalidInput
from nearhash_service.config.callers import Caller
from nearhash_service.config.config import Config
from nearhash_service.config.section import Section

__all__ = ["ConfigSources", "Given", "Loaded", "sections"]

DEFAULT = "default"
_VARIABLE_PREFIX = "NEARHASH_"
_VARIABLES = {"NEARHASH_DATA": "server.data"}
"""Variables with a short name; all others are called after their key: NEARHASH_SERVER__WORKERS."""


@dataclass(frozen=True, slots=True)
class Given:
    """A value as it was found, and where."""

    value: object
    place: str
    folder: Path = Path()
    """Relative paths start here."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, and the origin of each value by its key, such as "server.workers"."""

    config: Config
    origins: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ConfigSources:
    """Where a configuration comes from; it can be loaded again when the file has changed.

    Attributes
    ----------
    file : Path, optional
        Weakest.
    environment : mapping
        Of variables; beats the file.
    flags : mapping
        From keys to what the command line gives; beats both.
    """

    file: Path | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    flags: Mapping[str, Given] = field(default_factory=dict)

    def load(self) -> Loaded:
        """Read and validate.

        Raises
        ------
        InvalidInput
            Naming the place and what would be right.
        """
        given = {
            **(_from_file(self.file) if self.file else {}),
            **_from_environment(self.environment),
            **self.flags,
        }
        known = _types()
        for key, item in given.items():
            if key not in known:
                raise InvalidInput(item.place, f"there is no setting {key!r}{_suggestion(key, known)}")
        values = {key: _converted(item, known[key]) for key, item in given.items()}
        try:
            config = _assembled(values)
        except InvalidInput as error:
            key, bracket, rest = error.field.partition("[")
            place = given[key].place if key in given else key
            raise InvalidInput(place + bracket + rest, error.problem) from None
        return Loaded(config, {key: given[key].place if key in given else DEFAULT for key in known})


def sections() -> dict[str, type[Section]]:
    """Return the type of each section that is a table, by name."""
    hints = get_type_hints(Config)
    return {name: kind for name, kind in hints.items() if isinstance(kind, type) and issubclass(kind, Section)}


def _types() -> dict[str, Any]:
    """Return the type of each key."""
    tables = sections()
    types = {name: kind for name, kind in get_type_hints(Config, include_extras=True).items() if name not in tables}
    for name, section in tables.items():
        types |= {f"{name}.{key}": kind for key, kind in get_type_hints(section, include_extras=True).items()}
    return types


def _from_file(path: Path) -> dict[str, Given]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(str(path), f"it is not TOML: {error}") from None
    except OSError as error:
        raise InvalidInput(str(path), f"the configuration cannot be read: {error.strerror}") from None
    return {key: Given(value, f"{path}: {key}", path.parent) for key, value in _flattened(content)}


def _flattened(content: dict[str, Any]) -> Iterator[tuple[str, object]]:
    for name, value in content.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{key}", item) for key, item in value.items())
        else:
            yield name, value


def _from_environment(environment: Mapping[str, str]) -> dict[str, Given]:
    """Take variables with the two underscores that keep them apart from those that Kubernetes sets for a service."""
    found = {}
    for name, value in environment.items():
        if name in _VARIABLES:
            found[_VARIABLES[name]] = Given(value, name)
        elif name.startswith(_VARIABLE_PREFIX) and "__" in name:
            section, key = name.removeprefix(_VARIABLE_PREFIX).lower().split("__", 1)
            found[f"{section}.{key}"] = Given(value, name)
    return found


def _converted(item: Given, kind: Any) -> Any:
    def path(_: type, value: object) -> Path:
        if not isinstance(value, str):
            raise ValueError("Expected `str`, the path of a file or folder")
        return item.folder / value

    try:
        # Not strict: the environment and --set give text.
        return msgspec.convert(item.value, kind, strict=False, dec_hook=path)
    except msgspec.ValidationError as error:
        told, _, within = str(error).partition(" - at `$")
        place = item.place + within.removesuffix("`")
        raise InvalidInput(place, told[0].lower() + told[1:] + _hint(told, item.value)) from None


def _hint(told: str, value: object) -> str:
    """Return the name that was meant, or the number or switch that is wrong; what is longer might be a secret."""
    unknown = re.fullmatch("Object contains unknown field `(.*)`", told)
    if unknown:
        return _suggestion(unknown[1], Caller.__struct_fields__)
    text = repr(value)
    return f"; found {text}" if len(text) <= 12 and not isinstance(value, (list, dict)) else ""


def _assembled(values: Mapping[str, Any]) -> Config:
    made: dict[str, Any] = {key: value for key, value in values.items() if "." not in key}
    for name, section in sections().items():
        own = {key.partition(".")[2]: value for key, value in values.items() if key.startswith(f"{name}.")}
        missing = [key for key in _required(section) if key not in own]
        if missing:
            raise InvalidInput(f"{name}.{missing[0]}", _how_to_give(f"{name}.{missing[0]}"))
        made[name] = section(**own)
    return Config(**made)


def _required(section: type[Section]) -> list[str]:
    return [item.name for item in msgspec.structs.fields(section) if item.required]


def _how_to_give(key: str) -> str:
    section, _, name = key.partition(".")
    variable = next((short for short, of in _VARIABLES.items() if of == key), None)
    variable = variable or f"{_VARIABLE_PREFIX}{section}__{name}".upper()
    return f"missing; give --{name}, set {variable}, or write {name} under [{section}] in the configuration file"


def _suggestion(key: str, known: Collection[str]) -> str:
    same_name = [other for other in known if other.rpartition(".")[2] == key.rpartition(".")[2]]
    near = get_close_matches(key, known, n=1, cutoff=0.7) or same_name
    return f"; did you mean {near[0]}?" if near else "; `nearhash config` lists all"
