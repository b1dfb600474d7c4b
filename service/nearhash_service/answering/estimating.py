"""Estimates, in the background: they take all that a core gives for some seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nearhash_index.errors import UnknownName
from nearhash_index.estimate import MatchEstimate, estimate_matches
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.index import Index
from nearhash_index.store import Generation
from nearhash_service.answering.background import in_background

__all__ = ["estimate_in_own_process"]


def estimate_in_own_process(generation: Path, bank: str, hash_type: str) -> MatchEstimate:
    """Estimate the random matches of a bank of the generation in that folder.

    Raises
    ------
    UnknownName
        If the generation does not have the bank.
    InvalidInput
        If the bank has too few hashes of the type, or the type is a digest.
    """
    return in_background("the process that estimates was killed", _estimate, generation, bank, hash_type)


def _estimate(folder: Path, bank: str, hash_type: str) -> MatchEstimate:
    generation = Generation.open(folder)
    positions = [i for i, item in enumerate(generation.manifest.banks) if item.name == bank]
    if not positions:
        raise UnknownName(f"generation {generation.manifest.number} has no bank {bank!r}; publish first")
    segment = generation.segments.get(hash_type)
    if segment is None:
        index, entry = Index.build(np.empty((0, HASH_TYPES[hash_type].words), dtype=np.uint64)), np.empty(0, np.int64)
        return estimate_matches(index, entry, HASH_TYPES[hash_type])
    of_bank = generation.entries.bank[segment.entry] == positions[0]
    entry = segment.entry[of_bank].astype(np.int64)
    index = segment.index if of_bank.all() else Index.build(segment.index.codes()[of_bank])
    return estimate_matches(index, entry, HASH_TYPES[hash_type])
