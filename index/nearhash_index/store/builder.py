"""Building a generation from the registry, and publishing it.

    registry at sequence S -> staging -> synced to disk -> opened and verified -> renamed into place -> CURRENT

A process killed at any point leaves the old generation published and, at most, leftovers that the next build removes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
from numpy.typing import NDArray

from nearhash_index.codes import codes_from_bytes
from nearhash_index.entries import Bank
from nearhash_index.errors import CorruptData, NotADataDirectory, NotPublished, StorageFailed, WrongVersion
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.index import Index
from nearhash_index.store.data_directory import DataDirectory
from nearhash_index.store.files import fsync_path
from nearhash_index.store.generation import DATA_FILE, MANIFEST_FILE, Generation, Manifest, file_checksum
from nearhash_index.store.mapped_arrays import write_arrays
from nearhash_index.store.registry import Registry, RegistrySnapshot

__all__ = ["KEPT_GENERATIONS", "publish"]

_UNUSABLE = (NotPublished, NotADataDirectory, WrongVersion, CorruptData)
"""A generation that cannot be read is built anew from the registry, which is the record of truth."""

KEPT_GENERATIONS = 5
"""So many of the newest generations are kept for roll back, besides the current one."""


def publish(path: Path) -> Manifest:
    """Build a generation from the registry in the data directory at `path`, and make it the current one.

    If the current generation has every change already, it stays and nothing is built. Meant for a process of its own:
    O(entries) in time and memory.

    Raises
    ------
    StoreBusy
        If another process is publishing.
    StorageFailed
        If the disk refuses. The old generation stays current.
    NotADataDirectory, WrongVersion, CorruptData
    """
    directory = DataDirectory(path)
    try:
        with directory.publish_lock(), Registry(directory) as registry:
            up_to_date = _current_if_at(directory, registry.sequence())
            if up_to_date:
                return up_to_date
            manifest = _build(directory, registry)
            directory.set_current(manifest.number)
            _retire(directory, registry)
            return manifest
    except (lmdb.Error, OSError) as error:
        raise StorageFailed(f"the generation could not be written, the old one stays published: {error}") from None


def _current_if_at(directory: DataDirectory, sequence: int) -> Manifest | None:
    try:
        manifest = Manifest.read(directory.generation_path(directory.current()))
    except _UNUSABLE:
        return None
    return manifest if manifest.sequence == sequence else None


def _build(directory: DataDirectory, registry: Registry) -> Manifest:
    number = 1 + max(directory.generation_numbers(), default=0)
    with directory.staging(number) as folder:
        with registry.snapshot() as snapshot:
            columns = _Columns(snapshot)
        specs = write_arrays(folder, columns.arrays())
        data = folder / DATA_FILE
        manifest = Manifest(
            number=number,
            sequence=columns.sequence,
            create_time=datetime.now(UTC).replace(microsecond=0),
            entry_count=len(columns.id_end),
            hash_counts={name: len(rows) for name, rows in columns.hash_entries.items()},
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
        _verify(folder, manifest)
        directory.accept(folder, number)
    return manifest


def _verify(folder: Path, manifest: Manifest) -> None:
    """Open what was written as a server would, before anyone relies on it."""
    generation = Generation.open(folder)
    for name, count in manifest.hash_counts.items():
        segment = generation.segments[name]
        if len(segment.index) != count or len(segment.entry) != count:
            raise CorruptData(f"{folder}: {len(segment.index)} {name} codes were written instead of {count}")


def _retire(directory: DataDirectory, registry: Registry) -> None:
    """Delete generations beyond those kept, and the part of the change log that no kept generation needs."""
    current = directory.current()
    numbers = directory.generation_numbers()
    kept = {current, *numbers[: KEPT_GENERATIONS + 1]}
    for number in numbers:
        if number not in kept:
            directory.remove_generation(number)
    sequences = []
    for number in kept:
        with suppress(*_UNUSABLE):
            sequences.append(Manifest.read(directory.generation_path(number)).sequence)
    registry.forget_changes(min(sequences))


class _Columns:
    """The registry's entries as columns, in the order of a generation."""

    def __init__(self, snapshot: RegistrySnapshot) -> None:
        self.sequence = snapshot.sequence
        self.banks: tuple[Bank, ...] = tuple(snapshot.banks)
        self.sources: dict[str, int] = {}
        self.label_sets: dict[tuple[str, ...], int] = {}
        self.bank: list[int] = []
        self.source: list[int] = []
        self.labels: list[int] = []
        self.ids = bytearray()
        self.id_end: list[int] = []
        self.hashes: dict[str, bytearray] = {}
        self.hash_entries: dict[str, list[int]] = {}
        for position, bank in enumerate(self.banks):
            self._append_bank(position, snapshot, bank.name)

    def arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield each array with its name, as `Generation` documents them."""
        yield "entries/bank", np.array(self.bank, dtype=np.uint32)
        yield "entries/source", np.array(self.source, dtype=np.uint32)
        yield "entries/labels", np.array(self.labels, dtype=np.uint32)
        yield "entries/id_end", np.array(self.id_end, dtype=np.uint64)
        yield "entries/ids", np.frombuffer(self.ids, dtype=np.uint8)
        for name, rows in self.hash_entries.items():
            yield f"{name}/entry", np.array(rows, dtype=np.uint32)
            index = Index.build(codes_from_bytes(memoryview(self.hashes[name]), HASH_TYPES[name]))
            for part, array in index.arrays().items():
                yield f"{name}/index/{part}", array

    def _append_bank(self, position: int, snapshot: RegistrySnapshot, name: str) -> None:
        for entry in snapshot.entries(name):
            row = len(self.bank)
            self.bank.append(position)
            self.source.append(self.sources.setdefault(entry.key.source, len(self.sources)))
            self.labels.append(self.label_sets.setdefault(entry.labels, len(self.label_sets)))
            self.ids += entry.key.entry_id.encode()
            self.id_end.append(len(self.ids))
            for item in entry.hashes:
                type_name = item.hash_type.name
                self.hashes.setdefault(type_name, bytearray()).extend(item.value)
                self.hash_entries.setdefault(type_name, []).append(row)
