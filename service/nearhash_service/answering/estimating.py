"""Estimates run in a process of their own, behind everything else: they take all that a core gives for some seconds."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np

from nearhash_index.errors import StorageFailed, UnknownName
from nearhash_index.estimate import MatchEstimate, estimate_matches
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.index import Index
from nearhash_index.store import Generation

__all__ = ["estimate_in_own_process"]

_NICENESS = 10


def estimate_in_own_process(generation: Path, bank: str, hash_type: str) -> MatchEstimate:
    """Estimate the random matches of a bank of the generation in that folder.

    Raises
    ------
    UnknownName
        If the generation does not have the bank.
    InvalidInput
        If the bank has too few hashes of the type, or the type is a digest.
    """
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(_estimate, generation, bank, hash_type).result()
        except BrokenProcessPool:
            raise StorageFailed("the process that estimates was killed") from None


def _estimate(folder: Path, bank: str, hash_type: str) -> MatchEstimate:
    os.nice(_NICENESS)
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
