"""A generation: an immutable, searchable copy of the registry at one sequence.

    000042/
      MANIFEST.json    what it holds, and the checksum of the other file; sealed itself
      data.mdb         LMDB: the arrays

Arrays, e entries, for each hash type n codes in entry order:

    entries/bank     uint32[e]     position in the manifest's banks
    entries/source   uint32[e]     position in the manifest's sources
    entries/labels   uint32[e]     position in the manifest's label sets
    entries/id_end   uint64[e]     where each entry's id ends in the next array
    entries/ids      uint8[...]    entry ids, UTF-8, end to end
    TYPE/entry       uint32[n]     which entry asserts each code
    TYPE/index/...                 the arrays of the search index

Entries are sorted by (bank, entry id, source).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from nearhash_index.entries import Bank, EntryKey
from nearhash_index.errors import CorruptData
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.index import Index
from nearhash_index.store.entry_table import EntryTable
from nearhash_index.store.mapped_arrays import ArraySpec, map_arrays
from nearhash_index.store.mapped_pages import forget_pages, load_pages
from nearhash_index.store.sealed_json import read_sealed, seal

__all__ = ["DATA_FILE", "MANIFEST_FILE", "Generation", "Manifest", "Segment", "file_checksum", "verified"]

DATA_FILE = "data.mdb"
MANIFEST_FILE = "MANIFEST.json"
_MAGIC = "nearhash generation"
_VERSION = 1
_READ_BYTES = 1 << 20
_CLOCK_TICK_NS = 20 * 10**6
_COARSE_CLOCK_TICK_NS = 2 * 10**9
"""File systems' clocks tick: a file changed that lately may change again at what is the same time to them. The kernel's
clock of files ticks at least each 10 ms; some file systems keep whole seconds, or even ones."""

_verified: set[tuple[int, int, int, str]] = set()
"""Data files that this process has verified, by device, inode, time of the last change, and checksum."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a generation holds.

    Attributes
    ----------
    number, sequence : int
        It has every change up to `sequence`.
    create_time : datetime
        With time zone.
    entry_count : int
    hash_counts : mapping from the name of each hash type to its codes, duplicates counted
    banks : tuple of Bank, by name
    sources : tuple of str
    label_sets : tuple of tuple of str
    arrays : mapping from name to ArraySpec
    data_size_bytes, data_checksum
        Of the data file.
    """

    number: int
    sequence: int
    create_time: datetime
    entry_count: int
    hash_counts: Mapping[str, int]
    banks: tuple[Bank, ...]
    sources: tuple[str, ...]
    label_sets: tuple[tuple[str, ...], ...]
    arrays: Mapping[str, ArraySpec]
    data_size_bytes: int
    data_checksum: str

    def write_bytes(self) -> bytes:
        """Return the content of the manifest file."""
        return seal(
            _MAGIC,
            _VERSION,
            {
                "number": self.number,
                "sequence": self.sequence,
                "create_time": self.create_time.isoformat(),
                "entry_count": self.entry_count,
                "hash_counts": dict(self.hash_counts),
                "banks": [bank._asdict() | {"radii": dict(bank.radii)} for bank in self.banks],
                "sources": list(self.sources),
                "label_sets": [list(labels) for labels in self.label_sets],
                "arrays": {name: [spec.dtype, list(spec.shape)] for name, spec in self.arrays.items()},
                "data_size_bytes": self.data_size_bytes,
                "data_checksum": self.data_checksum,
            },
        )

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read a generation's manifest.

        Raises
        ------
        NotADataDirectory, WrongVersion, CorruptData
        """
        content = read_sealed(folder / MANIFEST_FILE, _MAGIC, _VERSION)
        return cls(
            number=content["number"],
            sequence=content["sequence"],
            create_time=datetime.fromisoformat(content["create_time"]),
            entry_count=content["entry_count"],
            hash_counts=content["hash_counts"],
            banks=tuple(Bank(**bank | {"labels": tuple(bank["labels"])}) for bank in content["banks"]),
            sources=tuple(content["sources"]),
            label_sets=tuple(tuple(labels) for labels in content["label_sets"]),
            arrays={name: ArraySpec(dtype, tuple(shape)) for name, (dtype, shape) in content["arrays"].items()},
            data_size_bytes=content["data_size_bytes"],
            data_checksum=content["data_checksum"],
        )


@dataclass(frozen=True, slots=True)
class Segment:
    """The codes of one hash type.

    Attributes
    ----------
    index : Index
    entry : uint32[n]
        Row of the entry that asserts each code; ascending.
    """

    index: Index
    entry: NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Generation:
    """An open generation. Its files stay mapped until the last array taken from it is gone.

    Attributes
    ----------
    mapped : mapping from name to array
        All that the other attributes consist of, as it lies in the file.
    """

    manifest: Manifest
    entries: EntryTable
    segments: Mapping[str, Segment]
    mapped: Mapping[str, NDArray[Any]]

    @classmethod
    def open(
        cls,
        folder: Path,
        between_steps: Callable[[], object] = lambda: None,
        opened: Collection[Generation] = (),
    ) -> Generation:
        """Verify and map the generation at `folder`, in one pass over its file, unless this process has verified it.

        Everything is verified before LMDB sees the file, which trusts what it maps. In the end all pages are in memory,
        so that no query waits for the disk.

        Parameters
        ----------
        between_steps : callable
            Called after each MiB that is verified, which takes some 0.2 ms, and after each array that is mapped, which
            takes up to 2 ms at 1e7 entries, to do or wait for something else.
        opened : collection of Generation
            Returned is one of these if the folder holds the same.

        Raises
        ------
        NotADataDirectory, WrongVersion, CorruptData
            Corrupt if anything is missing, or differs by one bit from what was published.
        """
        manifest = verified(folder, between_steps)
        for generation in opened:
            if generation.manifest == manifest:
                # The kernel may have needed their memory meanwhile.
                load_pages(generation.mapped.values(), between_steps)
                return generation
        arrays = map_arrays(folder, manifest.arrays, between_steps)
        segments = {
            name: Segment(
                Index.open(_below(arrays, f"{name}/index/")),
                arrays[f"{name}/entry"],
            )
            for name in HASH_TYPES
            if name in manifest.hash_counts
        }
        return cls(manifest, EntryTable(**_below(arrays, "entries/")), segments, arrays)

    def forget_pages(self, between_steps: Callable[[], object]) -> None:
        """Make closing the map short, once another generation is served; see `mapped_pages`."""
        forget_pages(self.mapped.values(), between_steps)

    def find(self, bank_name: str, key: EntryKey) -> int | None:
        """Return the row of an entry, or None if the generation does not have it; O(log entries)."""
        for position, bank in enumerate(self.manifest.banks):
            if bank.name == bank_name:
                for row in self.entries.rows_named(position, key.entry_id):
                    if self.manifest.sources[self.entries.source[row]] == key.source:
                        return row
        return None


def verified(folder: Path, between_steps: Callable[[], object] = lambda: None) -> Manifest:
    """Return the manifest of the generation at `folder`, having verified its file, unless this process has before.

    Parameters
    ----------
    between_steps : callable
        Called after each MiB.

    Raises
    ------
    NotADataDirectory, WrongVersion, CorruptData
        Corrupt if anything is missing, or differs by one bit from what was published.
    """
    manifest = Manifest.read(folder)
    _check_data_file(folder / DATA_FILE, manifest, between_steps)
    return manifest


def file_checksum(path: Path, between_reads: Callable[[], object] = lambda: None) -> str:
    """Return the XXH3 128-bit sum of a file, in hexadecimal. `between_reads` is called after each MiB."""
    checksum = xxhash.xxh3_128()
    buffer = bytearray(_READ_BYTES)
    with path.open("rb") as file:
        while size := file.readinto(buffer):
            checksum.update(memoryview(buffer)[:size])
            between_reads()
    return checksum.hexdigest()


def _check_data_file(path: Path, manifest: Manifest, between_reads: Callable[[], object]) -> None:
    try:
        found = path.stat()
    except FileNotFoundError:
        raise CorruptData(f"{path} is missing") from None
    if found.st_size != manifest.data_size_bytes:
        raise CorruptData(f"{path} has {found.st_size} bytes instead of {manifest.data_size_bytes}")
    # The kernel sets the time of the last change, which nobody can set back.
    identity = found.st_dev, found.st_ino, found.st_ctime_ns, manifest.data_checksum
    if identity in _verified:
        return
    began_ns = time.time_ns()
    if file_checksum(path, between_reads) != manifest.data_checksum:
        raise CorruptData(f"{path} is damaged: its checksum does not fit its content")
    if began_ns - found.st_ctime_ns > _tick_ns(found.st_ctime_ns):
        _verified.add(identity)


def _tick_ns(changed_ns: int) -> int:
    """Return how long the clock that told when a file changed may stand still, in ns."""
    return _CLOCK_TICK_NS if changed_ns % 10**9 else _COARSE_CLOCK_TICK_NS


def _below(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
