"""HMA's names of signals and contents, and the hash types that they are here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from nearhash_client import HASH_TYPES

from .errors import Refused

__all__ = ["content_signals", "hash_type_of"]

_HASH_TYPES: Mapping[str, str] = MappingProxyType(
    # Types that HMA does not have go by their names here.
    {name: name for name in HASH_TYPES} | {"pdq": "pdq256", "video_md5": "md5"}
)
_DIGESTS = ("md5", "sha1", "sha256")
_CONTENTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"photo": ("pdq", "phash64", "dhash64", "ahash64", "whash64", *_DIGESTS), "video": ("video_md5", *_DIGESTS)}
)
"""What a content can be hashed to; the first, unless a request names others."""


def hash_type_of(signal_type: str) -> str:
    """Return the hash type of a signal type.

    Raises
    ------
    Refused
        If there is none.
    """
    try:
        return _HASH_TYPES[signal_type]
    except KeyError:
        raise Refused(f"No such SignalType {signal_type!r}; there are {', '.join(_HASH_TYPES)}") from None


def content_signals(content_type: str, types: str | None) -> list[str]:
    """Return the signal types to hash a content to.

    Parameters
    ----------
    content_type : str
        "photo" or "video".
    types : str, optional
        Signal types, separated by commas.

    Raises
    ------
    Refused
        If the content type does not exist, or has no such signal type.
    """
    known = _CONTENTS.get(content_type)
    if known is None:
        raise Refused(f"no such content_type: {content_type!r}; the file's field is one of {', '.join(_CONTENTS)}")
    if types is None:
        return [known[0]]
    wanted = [name.strip() for name in types.split(",") if name.strip()]
    for name in wanted:
        if name not in known:
            raise Refused(f"signal type {name!r} does not exist for a {content_type}; there are {', '.join(known)}")
    if not wanted:
        raise Refused("empty signal type selection")
    return wanted
