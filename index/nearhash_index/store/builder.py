"""Building a generation from the registry, and publishing it.

    registry at sequence S -> staging -> synced to disk -> opened and verified -> renamed into place -> CURRENT

A process killed at any point leaves the old generation published and, at most, leftovers that the next build removes.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lmdb
from numpy.typing import NDArray

from nearhash_index.errors import CorruptData, NotADataDirectory, NotPublished, Pinned, StorageFailed, WrongVersion
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.index import Index
from nearhash_index.store.build_progress import BuildReporter
from nearhash_index.store.columns import Columns
from nearhash_index.store.data_directory import Current, DataDirectory
from nearhash_index.store.files import fsync_path
from nearhash_index.store.generation import DATA_FILE, MANIFEST_FILE, Generation, Manifest, file_checksum
from nearhash_index.store.mapped_arrays import write_arrays
from nearhash_index.store.registry import Registry

__all__ = ["KEPT_GENERATIONS", "publish"]

_UNUSABLE = (NotPublished, NotADataDirectory, WrongVersion, CorruptData)
"""A generation that cannot be read is built anew from the registry, which is the record of truth."""

KEPT_GENERATIONS = 5
"""Unless told otherwise, so many of the newest generations are kept for roll back, besides the current one."""

_log = logging.getLogger(__name__)


def publish(path: Path, kept: int = KEPT_GENERATIONS) -> Manifest:
    """Build a generation from the registry in the data directory at `path`, and make it the current one.

    If the current generation has every change already, it stays and nothing is built. Meant for a process of its own:
    O(entries) in time and memory.

    Parameters
    ----------
    kept : int
        So many of the newest earlier generations stay for roll back, at least 1; the others are deleted.

    Raises
    ------
    StoreBusy
        If another process is publishing.
    Pinned
        If the current generation was rolled back to, and is not released yet.
    StorageFailed
        If the disk refuses. The old generation stays current.
    NotADataDirectory, WrongVersion, CorruptData
    """
    directory = DataDirectory(path)
    try:
        with directory.publish_lock(), Registry(directory) as registry:
            current = _current(directory)
            if current and current.sequence == registry.sequence():
                return current
            manifest = _build(directory, registry)
            directory.set_current(Current(manifest.number))
            try:
                _retire(directory, registry, kept)
            except (StorageFailed, lmdb.Error, OSError) as error:
                # What is published is published; the next build tries again.
                _log.warning("old generations could not be deleted: %s", error)
            return manifest
    except (lmdb.Error, OSError) as error:
        raise directory.failure("the generation could not be written, the old one stays published", error) from None


def _current(directory: DataDirectory) -> Manifest | None:
    """Return what is published; None if that is nothing, or damaged."""
    try:
        number, pinned = directory.current()
    except _UNUSABLE:
        return None
    if pinned:
        raise Pinned(f"generation {number} is pinned by a roll back; release it first")
    try:
        # Verified whole: to publish again is how an operator mends what is damaged.
        return Generation.open(directory.generation_path(number)).manifest
    except _UNUSABLE:
        return None


def _build(directory: DataDirectory, registry: Registry) -> Manifest:
    number = 1 + max(directory.generation_numbers(), default=0)
    with directory.staging(number) as folder:
        progress = BuildReporter(directory, number, step_count=4)
        progress.begin("reading entries")
        with registry.snapshot() as snapshot:
            columns = Columns(snapshot)
        hash_counts = columns.hash_counts()
        progress.begin(f"indexing {sum(hash_counts.values()):,} hashes of {columns.entry_count:,} entries")
        specs = write_arrays(folder, _arrays(columns))
        progress.begin("summing up")
        data = folder / DATA_FILE
        manifest = Manifest(
            number=number,
            sequence=columns.sequence,
            create_time=datetime.now(UTC).replace(microsecond=0),
            entry_count=columns.entry_count,
            hash_counts=hash_counts,
            banks=columns.banks,
            sources=tuple(columns.sources),
            label_sets=tuple(columns.label_sets),
            arrays=specs,
            data_size_bytes=data.stat().st_size,
            data_checksum=file_checksum(data),
        )
        manifest_file = folder / MANIFEST_FILE
        manifest_file.write_bytes(manifest.write_bytes())
        fsync_path(manifest_file)
        progress.begin("verifying")
        _verify(folder, manifest)
        directory.accept(folder, number)
    return manifest


def _arrays(columns: Columns) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield each array of the generation with its name, made as it is asked for."""
    yield from columns.entry_arrays()
    for name in columns.hash_counts():
        codes, entry = columns.codes(HASH_TYPES[name])
        yield f"{name}/entry", entry
        # Fast for the widest radius that a bank asks for, and on all cores that this process is given.
        widest = max(bank.radii[name] for bank in columns.banks)
        index = Index.build(codes, radius=widest, threads=len(os.sched_getaffinity(0)))
        del codes
        for part, array in index.arrays().items():
            yield f"{name}/index/{part}", array


def _verify(folder: Path, manifest: Manifest) -> None:
    """Open what was written as a server would, before anyone relies on it."""
    generation = Generation.open(folder)
    for name, count in manifest.hash_counts.items():
        segment = generation.segments[name]
        if len(segment.index) != count or len(segment.entry) != count:
            raise CorruptData(f"{folder}: {len(segment.index)} {name} codes were written instead of {count}")


def _retire(directory: DataDirectory, registry: Registry, kept: int) -> None:
    """Delete generations beyond those kept, and the part of the change log that no kept generation needs."""
    current = directory.current().number
    staying = {current, *directory.served_generation_numbers()[: kept + 1]}
    for number in directory.generation_numbers():
        if number not in staying:
            directory.remove_generation(number)
    sequences = []
    for number in staying:
        with suppress(*_UNUSABLE):
            sequences.append(Manifest.read(directory.generation_path(number)).sequence)
    registry.forget_changes(min(sequences))
