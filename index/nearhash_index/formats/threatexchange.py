"""ThreatExchange's local file: a signal type and a hash per line, or bare hashes whose type is given with the list.

pdq f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22
video_md5 d35c785545392755e7e4164457657269
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nearhash_index.formats.items import NOT_COMPARED, Rejected
from nearhash_index.formats.lines import numbered_lines
from nearhash_index.formats.options import ListOptions
from nearhash_index.formats.rows import Row

__all__ = ["is_signal", "read_threatexchange"]

_HASH_TYPES = {
    "pdq": "pdq256",
    "photo_md5": "md5",
    "video_md5": "md5",
    "md5": "md5",
    "sha1": "sha1",
    "sha256": "sha256",
}


def is_signal(line: str) -> bool:
    """Tell whether a line names a signal type before its hash."""
    words = line.split()
    return len(words) > 1 and words[0].lower() in _HASH_TYPES.keys() | NOT_COMPARED


def read_threatexchange(path: Path, options: ListOptions) -> Iterator[Row | Rejected]:  # noqa: ARG001 - as all
    """Yield the rows of a ThreatExchange local file."""
    for place, line in numbered_lines(path):
        words = line.split()
        signal_type = words[0].lower() if len(words) == 2 else ""
        if len(words) > 2 or (signal_type and not is_signal(line)):
            yield Rejected(place, f"not '<signal type> <hash>'; the signal types are {', '.join(_HASH_TYPES)}")
        else:
            yield place, words[-1], _HASH_TYPES.get(signal_type, signal_type), "", "", "", "", "", ""
