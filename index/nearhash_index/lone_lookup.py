"""Looking one hash up, as an upload does: `lookup` passes arrays of a single row through all that can be asked."""

from __future__ import annotations

from nearhash_index.hash_types import HashType
from nearhash_index.view import Reach, View

__all__ = ["look_up_one"]

_MOST_ROWS = 64


def look_up_one(view: View, hash_type: HashType, reach: Reach, packed: bytes) -> list[tuple[int, int]] | None:
    """Find the entries near one hash, as `lookup` does.

    Parameters
    ----------
    reach : Reach
        Of the view, for this hash type.
    packed : bytes
        Of the type's width, most significant byte first.

    Returns
    -------
    list of (distance in bits, number of the entry in the view), in the order of answers; at most 64. None if `lookup`
    has to be asked: the index or the banks do not make it that easy.
    """
    hits = reach.lone_search(packed) if reach.lone_search else None
    if not hits:
        # Near nothing, as most are; or not to be told.
        return hits
    if view.has_allowlists:
        return None
    segment, entries = view.generation.segments[hash_type.name], view.generation.entries
    rows = [(distance, segment.index.rows_of(code)) for code, distance in hits]
    if sum(len(of_code) for _, of_code in rows) > _MOST_ROWS:
        return None
    nearest: dict[int, int] = {}
    for distance, of_code in sorted(rows, key=lambda row: row[0]):
        for number in segment.entry[of_code].tolist():
            bank = view.generation_banks[entries.bank[number]]
            if distance <= reach.radii[bank] and not view.is_removed(number):
                nearest.setdefault(number, distance)
    return sorted((distance, number) for number, distance in nearest.items())
