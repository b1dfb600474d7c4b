"""What reading a list yields. Each item tells a person its place, such as "list.csv, line 17"; none shows a hash."""

from __future__ import annotations

import re
from typing import NamedTuple, TypeAlias

from nearhash_index.entries import Entry, EntryKey, Hash

__all__ = ["NOT_COMPARED", "Item", "Quarantined", "Rejected", "Removal", "Skipped", "Upsert", "without_hashes"]

NOT_COMPARED = frozenset(
    {"netclean", "pdna", "photodna", "pdq_ocr", "raw_text", "ssvh", "text_tlsh", "tmk", "trend_query"}
)
NOT_COMPARED |= {"url", "url_md5", "video_tmk_pdqf", "video_vpdq", "videntifier", "vpdq"}
"""Types of fingerprints that lists carry and NearHash does not compare."""

_HEX_RUN = re.compile(r"[0-9A-Fa-f]{16,}")


class Upsert(NamedTuple):
    """An entry to add, or to put in the place of the one of its key.

    Attributes
    ----------
    stated_s : int
        When its source stated it, a Unix time in seconds; 0: the list does not tell.
    """

    place: str
    entry: Entry
    stated_s: int = 0

    @property
    def key(self) -> EntryKey:
        """The entry's key."""
        return self.entry.key


class Removal(NamedTuple):
    """An entry to remove.

    Attributes
    ----------
    withdrawn : bool
        Whether the case was withdrawn or deleted at its source; else the list only says to remove it.
    stated_s : int
        When its source withdrew it, a Unix time in seconds; 0: the list does not tell.
    """

    place: str
    key: EntryKey
    withdrawn: bool
    stated_s: int = 0


class Rejected(NamedTuple):
    """Something malformed, or a part of the list that is missing: nothing of it is imported."""

    place: str
    reason: str


class Quarantined(NamedTuple):
    """Tells why a hash is kept aside, because it would match too much. The Upsert that follows holds it as such."""

    place: str
    key: EntryKey
    hash: Hash
    reason: str


class Skipped(NamedTuple):
    """Something well formed that is not imported, such as a fingerprint of a type that NearHash does not compare.

    Attributes
    ----------
    what : str
        The same for all of a kind, to count by.
    """

    place: str
    what: str


Item: TypeAlias = Upsert | Removal | Rejected | Quarantined | Skipped


def without_hashes(text: str) -> str:
    """Return a message without what may be a hash: a value in the wrong column would show up in it."""
    return _HEX_RUN.sub("…", text)
