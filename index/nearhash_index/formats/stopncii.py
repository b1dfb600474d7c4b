"""StopNCII, version 1: pages of JSON.

{"count": 2, "nextPageToken": "…", "nextSetTimestamp": 1714575600, "hasMoreRecords": true, "hashRecords": [
  {"lastModtimestamp": 1714575600, "signalType": "ImagePDQ", "hashValue": "2afc…", "hashStatus": "Active",
   "caseNumbers": {"27664732-76e1-4a17-8099-455798e67022": "Active"},
   "CSPFeedbacks": [{"source": "…", "feedbackValue": "Blocked", "tags": ["…"]}]},
  {"lastModtimestamp": 1714575601, "signalType": "VideoMD5", "hashValue": "d35c…", "hashStatus": "Withdrawn",
   "caseNumbers": {"a2696edf-1237-4eb8-a9c1-cd8ee6c055e5": "Withdrawn"}}]}

A record is one hash, whoever submitted it: the entry `ImagePDQ/2afc…`. A record that is Withdrawn or Deleted withdraws
it, unless one of its cases, Received or Active, still stands for it. Another case may submit the same image later: then
the record is Active again, at a later time. Feedback is other platforms' opinion: ignored.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import orjson

from nearhash_index.codes import hex_to_hash
from nearhash_index.entries import Entry, EntryKey, Hash
from nearhash_index.errors import InvalidInput
from nearhash_index.formats.files import read_blocks
from nearhash_index.formats.items import Item, Rejected, Removal, Skipped, Upsert
from nearhash_index.formats.latest import State, stated_time_s
from nearhash_index.formats.options import ListOptions
from nearhash_index.hash_types import HASH_TYPES

__all__ = ["read_stopncii"]

_DEFAULT_SOURCE = "stopncii"
_MAX_PAGE_BYTES = 64 << 20
_HASH_TYPES = {"ImagePDQ": "pdq256", "ImageMD5": "md5", "VideoMD5": "md5"}
_NOT_COMPARED = frozenset({"VideoTMK", "Text", "URL"})
_STANDING = frozenset({"Received", "Active"})
_WITHDRAWN = frozenset({"Withdrawn", "Deleted"})


def read_stopncii(pages: list[Path], options: ListOptions) -> Iterator[State | Item]:
    """Yield the records of the pages, as they come.

    Raises
    ------
    InvalidInput
        If a file is no such page.
    """
    has_more = False
    for page in pages:
        has_more = yield from _read_page(page, options)
    if has_more:
        yield Rejected(pages[-1].name, "says that more records follow, which are not here; fetch the list to its end")


def _read_page(path: Path, options: ListOptions) -> Generator[State | Item, None, bool]:
    """Yield the records of a page; tell whether it says that more follow."""
    page = _parsed(path)
    records = page.get("hashRecords") if isinstance(page, dict) else None
    if not isinstance(records, list):
        yield Rejected(path.name, "not a page of this list: no JSON object with a list of hashRecords")
        return False
    if page.get("count", len(records)) != len(records):
        yield Skipped(path.name, "count that disagrees with the records there")
    for number, record in enumerate(records, start=1):
        place = f"{path.name}, record {number}"
        try:
            yield _read_record(place, record, options.source or _DEFAULT_SOURCE)
        except InvalidInput as error:
            yield Rejected(place, str(error))
    return page.get("hasMoreRecords") is True


def _parsed(path: Path) -> Any:
    """Return what the page's JSON holds; None if it is none."""
    text = b""
    for block in read_blocks(path):
        text += block
        if not text.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
            raise InvalidInput(str(path), "not a JSON page: it does not begin with '{'")
        if len(text) > _MAX_PAGE_BYTES:
            raise InvalidInput(str(path), f"larger than {_MAX_PAGE_BYTES >> 20} MiB; a page holds a thousand records")
    try:
        return orjson.loads(text.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError:
        return None


def _read_record(place: str, record: Any, source: str) -> State | Item:
    if not isinstance(record, dict):
        raise InvalidInput("record", "not an object")
    signal_type = record.get("signalType")
    if not isinstance(signal_type, str) or signal_type not in _HASH_TYPES.keys() | _NOT_COMPARED:
        raise InvalidInput("signalType", f"none of {', '.join(sorted(_HASH_TYPES.keys() | _NOT_COMPARED))}")
    if signal_type in _NOT_COMPARED:
        return Skipped(place, f"{signal_type} fingerprint")
    digits = record.get("hashValue")
    if not isinstance(digits, str):
        raise InvalidInput("hashValue", "not text")
    hash_type = HASH_TYPES[_HASH_TYPES[signal_type]]
    item = Hash(hash_type, hex_to_hash(digits, hash_type, "hashValue"))
    if not any(item.value):
        raise InvalidInput("hashValue", "all zeros: a placeholder")
    key = EntryKey(f"{signal_type}/{item.value.hex()}", source)
    withdrawn = _is_withdrawn(record)
    moment = record.get("lastModtimestamp")
    if not isinstance(moment, (int, float)):
        # As a withdrawal without its time must be honoured, it counts as the last to come.
        moment = float("inf") if withdrawn else float("-inf")
    stated_s = stated_time_s(moment)
    change = (
        Removal(place, key, withdrawn=True, stated_s=stated_s)
        if withdrawn
        else Upsert(place, Entry(key, (item,)), stated_s)
    )
    return State(place, key, (moment, withdrawn), (change,))


def _is_withdrawn(record: dict[str, Any]) -> bool:
    """Tell whether nobody stands for the hash any more."""
    status = record.get("hashStatus")
    if not isinstance(status, str) or status not in _STANDING | _WITHDRAWN:
        raise InvalidInput("hashStatus", f"none of {', '.join(sorted(_STANDING | _WITHDRAWN))}")
    cases = record.get("caseNumbers") or {}  # an empty list has been seen
    if not isinstance(cases, dict) or not all(isinstance(case, str) for case in cases.values()):
        raise InvalidInput("caseNumbers", "not an object from case to status")
    return status in _WITHDRAWN and _STANDING.isdisjoint(cases.values())
