"""What computed an entry's hashes: carried as labels, so that every list, entry and answer has room for it."""

from collections.abc import Iterable

HASHER_LABEL = "hasher="
"""What such a label begins with; the hasher follows, with version, such as ``pdqhash 0.2.8, pillow 13.0.0``."""


def hashers_of(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the hashers that labels tell, with versions. None: nobody said."""
    return tuple(label.removeprefix(HASHER_LABEL) for label in labels if label.startswith(HASHER_LABEL))


def labels_with_hashers(labels: Iterable[str], hashers: Iterable[str]) -> list[str]:
    """Return labels and those that tell the hashers, each once; empty hashers, those of digests, are left out."""
    return list(dict.fromkeys([*labels, *(HASHER_LABEL + hasher for hasher in hashers if hasher)]))
