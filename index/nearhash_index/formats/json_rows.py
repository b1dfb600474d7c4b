"""JSON Lines: an object per line, with the fields of the CSV, or with a list of several hashes.

{"hash": "d5c3…", "hash_type": "pdq256", "entry_id": "case-17", "labels": ["video"], "quality": 98}
{"entry_id": "case-18", "hashes": [{"hash_type": "md5", "hash": "d35c…"}, {"hash_type": "sha1", "hash": "0beec7…"}]}
{"entry_id": "case-19", "action": "remove"}
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from nearhash_index.errors import InvalidInput
from nearhash_index.formats.items import Rejected, without_hashes
from nearhash_index.formats.lines import numbered_lines
from nearhash_index.formats.options import ListOptions
from nearhash_index.formats.rows import FIELDS, Row

__all__ = ["read_jsonl"]

_HASH_FIELDS = ("hash", "hash_type", "quality")
_FIELDS_OF_A_HASH = (*_HASH_FIELDS, "hasher")
_ENTRY_FIELDS = (*FIELDS, "hashes")


def read_jsonl(path: Path, options: ListOptions) -> Iterator[Row | Rejected]:  # noqa: ARG001 - as all
    """Yield the rows of a file of JSON Lines: one for each hash."""
    for place, line in numbered_lines(path):
        try:
            rows = _rows(place, orjson.loads(line))
        except orjson.JSONDecodeError:
            yield Rejected(place, "not JSON; write one object per line")
        except InvalidInput as error:
            yield Rejected(place, without_hashes(str(error)))
        else:
            yield from rows


def _rows(place: str, record: Any) -> list[Row]:
    fields = _fields(record, _ENTRY_FIELDS, "record")
    hashes = fields.get("hashes")
    if hashes is None:
        return [(place, *(_text(fields.get(name), name) for name in FIELDS))]
    if not isinstance(hashes, list) or not hashes:
        raise InvalidInput("hashes", "not a list of objects with hash_type and hash")
    if any(name in fields for name in _HASH_FIELDS):
        raise InvalidInput("hashes", f"beside {', '.join(_HASH_FIELDS)}; put these into the list's objects")
    if len(hashes) > 1 and not fields.get("entry_id"):
        raise InvalidInput("entry_id", "missing; an entry of several hashes needs one")
    rows: list[Row] = []
    for number, item in enumerate(hashes, start=1):
        merged = fields | _fields(item, _FIELDS_OF_A_HASH, "hashes")
        rows.append((f"{place}, hash {number}", *(_text(merged.get(name), name) for name in FIELDS)))
    return rows


def _fields(record: Any, known: tuple[str, ...], what: str) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise InvalidInput(what, "not an object")
    for name in record:
        if name not in known:
            raise InvalidInput(what, f"unknown field {name[:80]!r}; the fields are {', '.join(known)}")
    return record


def _text(value: Any, name: str) -> str:
    """Return the text that a CSV would hold."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if name == "quality" and type(value) is int:
        return str(value)
    if name == "labels" and isinstance(value, list) and all(isinstance(label, str) for label in value):
        if any(";" in label for label in value):
            raise InvalidInput(name, "a label holds ';'")
        return ";".join(value)
    raise InvalidInput(name, "neither text nor missing")
