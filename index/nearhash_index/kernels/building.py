"""Numba kernels that build the tables. They release the GIL and allocate nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from nearhash_index.kernels.caching import compiled
from nearhash_index.kernels.fields import entry_of, key_of, parity_of, rest_of, rotated_right, word_of

__all__ = ["count_buckets", "place_codes"]


@compiled(nogil=True)
def count_buckets(planes: Any, word: Any, shift: Any, bits: Any, offsets: Any) -> None:
    """Set offsets[b] to the number of codes in the buckets before b, in O(n + 2**bits)."""
    offsets[:] = 0
    for i in range(planes[0].size):
        row = np.uint64(i)
        key = key_of(rotated_right(word_of(planes, word, row), shift), bits)
        offsets[(key << np.uint64(1)) + parity_of(planes, row) + np.uint64(1)] += np.uint32(1)
    for b in range(1, offsets.size):
        offsets[b] += offsets[b - 1]


@compiled(nogil=True)
def place_codes(planes: Any, word: Any, shift: Any, bits: Any, ends: Any, entries: Any, rests: Any, ids: Any) -> None:
    """Write what each table holds of a code into its bucket, in O(n). `ends` is a copy of the offsets, and used up."""
    for i in range(planes[0].size):
        row = np.uint64(i)
        rotated = rotated_right(word_of(planes, word, row), shift)
        bucket = (key_of(rotated, bits) << np.uint64(1)) + parity_of(planes, row)
        slot = np.uint64(ends[bucket])
        ends[bucket] += np.uint32(1)
        entries[slot] = np.uint32(entry_of(rotated))
        rests[slot] = np.uint16(rest_of(rotated, bits))
        ids[slot] = np.uint32(row)
