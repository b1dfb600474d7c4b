"""Which hashes are kept aside: those that would match far too much."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from nearhash_index.codes import codes_from_bytes
from nearhash_index.degenerate import degenerate_reason, degenerate_rows
from nearhash_index.entries import Hash
from nearhash_index.formats.items import Item, Quarantined, Upsert
from nearhash_index.hash_types import HASH_TYPES

__all__ = ["low_quality_reason", "without_degenerate"]


def low_quality_reason(item: Hash, quality: int, min_quality: int) -> str:
    """Say for a person why a hash of that quality is kept aside; empty if it is not, as digests never are."""
    if quality >= min_quality or not item.hash_type.perceptual:
        return ""
    return f"this {item.hash_type.name} hash has quality {quality}, below {min_quality}"


def without_degenerate(chunks: Iterable[list[Item]]) -> Iterator[Item]:
    """Yield the items, with degenerate hashes kept aside in their entries, and told as Quarantined.

    Parameters
    ----------
    chunks : iterable of list of Item
        The hashes of a chunk are looked at together.
    """
    for chunk in chunks:
        degenerate = _degenerate(chunk)
        if not degenerate:
            yield from chunk
            continue
        for item in chunk:
            if isinstance(item, Upsert) and any((h.hash_type.name, h.value) in degenerate for h in item.entry.hashes):
                yield from _parted(item, degenerate)
            else:
                yield item


def _degenerate(items: Iterable[Item]) -> set[tuple[str, bytes]]:
    """Return the degenerate hashes of the items, each with the name of its type."""
    values: defaultdict[str, list[bytes]] = defaultdict(list)
    for item in items:
        if isinstance(item, Upsert):
            for hash_ in item.entry.hashes:
                hash_type = hash_.hash_type
                if hash_type.perceptual:
                    values[hash_type.name].append(hash_.value)
    return {
        (name, of_type[row])
        for name, of_type in values.items()
        for row in degenerate_rows(codes_from_bytes(b"".join(of_type), HASH_TYPES[name]), HASH_TYPES[name])
    }


def _parted(item: Upsert, degenerate: set[tuple[str, bytes]]) -> Iterator[Item]:
    entry = item.entry
    aside = tuple(h for h in entry.hashes if (h.hash_type.name, h.value) in degenerate)
    kept = tuple(h for h in entry.hashes if h not in aside)
    for hash_ in aside:
        yield Quarantined(item.place, entry.key, hash_, degenerate_reason(hash_.hash_type))
    yield item._replace(entry=entry._replace(hashes=kept, quarantined=entry.quarantined + aside))
