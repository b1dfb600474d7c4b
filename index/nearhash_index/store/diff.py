"""What a publish would change."""

from __future__ import annotations

import time
from collections import Counter

from nearhash_index.store.generation import Generation
from nearhash_index.store.records import decode_key
from nearhash_index.store.snapshot import RegistrySnapshot

__all__ = ["publish_diff"]


def publish_diff(snapshot: RegistrySnapshot, generation: Generation | None) -> dict[str, Counter[str]]:
    """Count the entries that a generation built now would add, update and remove, by bank. O(changes * log entries).

    Parameters
    ----------
    generation : Generation, optional
        The one that is published.

    Returns
    -------
    dict
        From the name of each bank that changes to a Counter of "added", "updated", "removed".
    """
    now_s = time.time()
    diff: dict[str, Counter[str]] = {}
    if generation is None:
        for bank in snapshot.banks:
            matching = sum(stored.matches_at(now_s) for stored in snapshot.entries(bank.name))
            diff[bank.name] = Counter(added=matching)
        return diff
    for key in dict.fromkeys(key for _, key in snapshot.changed_after(generation.manifest.sequence)):
        number, entry_key = decode_key(key)
        bank_name = snapshot.bank_names[number]
        was_there = generation.find(bank_name, entry_key) is not None
        stored = snapshot.entry(key)
        will_be_there = stored is not None and stored.matches_at(now_s)
        if was_there or will_be_there:
            kind = "updated" if was_there and will_be_there else "added" if will_be_there else "removed"
            diff.setdefault(bank_name, Counter())[kind] += 1
    return diff
