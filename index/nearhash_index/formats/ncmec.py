"""NCMEC hash sharing, version 2: pages of XML, in the namespace https://hashsharing.ncmec.org/hashsharing/v2.

<queryResult>
  <images count="2" maxTimestamp="2024-05-01T15:10:00Z">
    <image>
      <member id="42">Example Member</member> <timestamp>2024-05-01T15:00:00Z</timestamp> <id>abc</id>
      <classification>A1</classification> <fingerprints><md5>…</md5> <sha1>…</sha1> <pdna>…</pdna></fingerprints>
    </image>
    <deletedImage> <member id="43"/> <id>def</id> <timestamp>2024-05-01T15:10:00Z</timestamp> </deletedImage>
  </images>
  <videos> (likewise: video, deletedVideo) </videos>
  <paging><next>/v2/entries?…</next></paging>
</queryResult>

A record is one entry, `42/image/abc`: ids are a member's own, and an image and a video could share one. Its
classification becomes a label. Its deletion withdraws it; where the time is missing, it counts as the last to come.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path

from nearhash_index.codes import hex_to_hash
from nearhash_index.entries import Entry, EntryKey, Hash, check_entry, check_key, check_labels
from nearhash_index.errors import InvalidInput
from nearhash_index.formats.items import Item, Rejected, Removal, Skipped, Upsert, without_hashes
from nearhash_index.formats.latest import State, stated_time_s
from nearhash_index.formats.options import ListOptions
from nearhash_index.formats.xml_pages import BrokenPage, XmlElement, local_name, read_elements
from nearhash_index.hash_types import HASH_TYPES

__all__ = ["read_ncmec"]

_DEFAULT_SOURCE = "ncmec"
_HASH_TYPES = {"md5": "md5", "sha1": "sha1", "sha256": "sha256", "pdq": "pdq256"}
_RECORDS = {
    "images": {"image": ("image", False), "deletedImage": ("image", True)},
    "videos": {"video": ("video", False), "deletedVideo": ("video", True)},
}
"""Of each container, its records: their kind, and whether they are deletions."""


def read_ncmec(pages: list[Path], options: ListOptions) -> Iterator[State | Item]:
    """Yield the records of the pages, as they come.

    Raises
    ------
    InvalidInput
        If a file is no such page, or cannot be parsed safely.
    """
    next_page = ""
    for page in pages:
        next_page = yield from _read_page(page, options)
    if next_page:
        yield Rejected(pages[-1].name, "names a next page, which is not here; fetch the list to its end")


def _read_page(page: Path, options: ListOptions) -> Generator[State | Item, None, str]:
    """Yield the records of a page; return the address of the next page, or nothing."""
    next_page = ""
    count = 0
    try:
        for parent, element in read_elements(page, "queryResult"):
            container = local_name(parent)
            if container in _RECORDS:
                if element is not None:
                    count += 1
                    yield from _read_record(page.name, container, count, element, options)
                    continue
                stated = parent.get("count", str(count)).strip()
                if stated != str(count):
                    yield Skipped(f"{page.name}, {container}", f"count that disagrees with the {container} there")
                count = 0
            elif container == "paging" and element is not None and local_name(element) == "next":
                next_page = (element.text or "").strip()
    except BrokenPage as error:
        yield Rejected(page.name, f"{error}; what comes after is not imported")
    return next_page


def _read_record(
    page: str, container: str, number: int, record: XmlElement, options: ListOptions
) -> Iterator[State | Item]:
    kind, deleted = _RECORDS[container].get(local_name(record), ("", False))
    place = f"{page}, {container.removesuffix('s')} {number}"
    member_id, member_name, record_id = _member_and_id(record)
    key = EntryKey(f"{member_id}/{kind}/{record_id}", options.source or _DEFAULT_SOURCE)
    try:
        if not kind:
            raise InvalidInput("record", f"none of {', '.join(_RECORDS[container])}")
        if not member_id or "/" in member_id:
            raise InvalidInput("member", "missing, or its id holds '/'")
        if not record_id:
            raise InvalidInput("id", "missing")
        check_key(key)
    except InvalidInput as error:
        yield Rejected(place, without_hashes(str(error)))
        return
    place += f" (member {member_id}, id {record_id})"
    if options.members and not options.members & {member_id, member_name}:
        yield Skipped(place, "record of another member")
        return
    seconds = _seconds(record, missing=math.inf if deleted else -math.inf)
    if deleted:
        removal = Removal(place, key, withdrawn=True, stated_s=stated_time_s(seconds))
        yield State(place, key, (seconds, True), (removal,))
        return
    items = tuple(_items(place, key, record, stated_time_s(seconds)))
    if any(isinstance(item, Upsert) for item in items):
        yield State(place, key, (seconds, False), items)
    else:
        yield from items


def _items(place: str, key: EntryKey, record: XmlElement, stated_s: int) -> Iterator[Item]:
    """Yield what an image or video brings: an Upsert, if it has any hash, after what cannot be part of it."""
    hashes = []
    for fingerprint in record.iterfind("{*}fingerprints/*"):
        name = local_name(fingerprint)
        digits = (fingerprint.text or "").strip()
        try:
            if name not in _HASH_TYPES:
                yield Skipped(place, f"{name} fingerprint")
            elif digits:
                hash_type = HASH_TYPES[_HASH_TYPES[name]]
                hashes.append(Hash(hash_type, hex_to_hash(digits, hash_type, name)))
        except InvalidInput as error:
            yield Rejected(f"{place}, {name}", error.problem)
    try:
        classification = _text(record, "classification")
        labels = check_labels([classification] if classification else [], "classification")
        if hashes:
            yield Upsert(place, check_entry(Entry(key, tuple(hashes), labels)), stated_s)
        elif not any(True for _ in record.iterfind("{*}fingerprints/*")):
            raise InvalidInput("fingerprints", "missing")
    except InvalidInput as error:
        yield Rejected(place, without_hashes(str(error)))


def _member_and_id(record: XmlElement) -> tuple[str, str, str]:
    member = record.find("{*}member")
    member_id = member.get("id", "").strip() if member is not None else ""
    return member_id, _text(record, "member"), _text(record, "id")


def _text(record: XmlElement, name: str) -> str:
    return (record.findtext(f"{{*}}{name}") or "").strip()


def _seconds(record: XmlElement, missing: float) -> float:
    """Return the record's time in seconds since 1970."""
    try:
        moment = datetime.fromisoformat(_text(record, "timestamp"))
    except ValueError:
        return missing
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
