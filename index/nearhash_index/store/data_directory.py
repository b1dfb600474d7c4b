"""The data directory: where the registry, the generations and the choice among them lie.

DATA/
  FORMAT                 what this directory is, and its version
  registry/              LMDB, mutable: banks, entries, change log. The record of truth.
  generations/000042/    immutable once there
  staging/               a build or removal in progress, or what a killed one left
  CURRENT                the served generation's number and, in a second line, all that have been served; replaced by
                         atomic rename
  PUBLISH.lock           held by the process that builds
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from nearhash_index.errors import (
    CorruptData,
    NotADataDirectory,
    NotPublished,
    StorageFailed,
    StorageReadOnly,
    StoreBusy,
    UnknownName,
)
from nearhash_index.store.files import fsync_path, replace_file, temporary_name
from nearhash_index.store.sealed_json import read_sealed, seal

__all__ = ["Current", "DataDirectory"]

_MAGIC = "nearhash data directory"
_VERSION = 1
_CHOICE = re.compile(rb"\s*([0-9]+)( pinned)?\s*(?:\nserved((?: [0-9]+)*)\s*)?")


class Current(NamedTuple):
    """The choice among the generations.

    Attributes
    ----------
    number : int
    pinned : bool
        Whether it was rolled back to, and stays until it is released.
    """

    number: int
    pinned: bool = False


class DataDirectory:
    """Names the places in a data directory. Holds nothing open.

    Raises
    ------
    NotADataDirectory, WrongVersion, CorruptData
        If what lies at the path cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        if not self.path.is_dir():
            raise NotADataDirectory(f"there is no data directory at {path}; creating a bank makes one")
        read_sealed(self.path / "FORMAT", _MAGIC, _VERSION)

    @classmethod
    def create(cls, path: Path) -> DataDirectory:
        """Open the data directory at the path, making one if nothing is there yet.

        Raises
        ------
        NotADataDirectory
            If the path holds something else; it is left as it is.
        StorageFailed
            If the disk refuses.
        """
        description = path / "FORMAT"
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            # The temporary file is what a killed process left, or another one is making.
            if all(entry == temporary_name(description) for entry in path.iterdir()):
                replace_file(description, seal(_MAGIC, _VERSION, {}))
        except (FileExistsError, NotADirectoryError):
            raise NotADataDirectory(f"{path} is not a directory") from None
        except OSError as error:
            raise StorageFailed(f"no data directory can be made at {path}: {error}") from None
        return cls(path)

    @property
    def registry_path(self) -> Path:
        """The registry's LMDB environment."""
        return self.path / "registry"

    @property
    def staging_path(self) -> Path:
        """Where a build is in progress."""
        return self.path / "staging"

    def generation_path(self, number: int) -> Path:
        """Where generation `number` lies, or would lie."""
        return self.path / "generations" / f"{number:06}"

    def served_generation_path(self, number: int) -> Path:
        """Where generation `number` lies; raise UnknownName if there is none that has been served."""
        served = self.served_generation_numbers()
        if number not in served:
            raise _no_generation(number, served)
        return self.generation_path(number)

    def generation_numbers(self) -> list[int]:
        """Return the numbers of the generations that exist, newest first."""
        names = (entry.name for entry in (self.path / "generations").glob("[0-9]*"))
        return sorted((int(name) for name in names if name.isdecimal()), reverse=True)

    def served_generation_numbers(self) -> list[int]:
        """Return the numbers of the generations that exist and have been current, newest first.

        A build that ends before its generation becomes current leaves one that never was: nobody means that one when
        they go back.
        """
        numbers = self.generation_numbers()
        try:
            served = self._read_current()[1]
        except NotPublished:
            return []
        except CorruptData:
            served = None
        return numbers if served is None else [number for number in numbers if number in served]

    def current(self) -> Current:
        """Return which generation to serve.

        Raises
        ------
        NotPublished
            If there is none yet.
        CorruptData
            If CURRENT is unreadable.
        """
        return self._read_current()[0]

    def _read_current(self) -> tuple[Current, set[int] | None]:
        """Return the choice, and the generations that have been served; None if the file does not tell."""
        try:
            content = (self.path / "CURRENT").read_bytes()
        except FileNotFoundError:
            raise NotPublished("nothing is published yet; publish first") from None
        found = _CHOICE.fullmatch(content)
        if not found:
            raise CorruptData(f"{self.path / 'CURRENT'} does not hold a generation's number")
        number, pinned, served = found.groups()
        current = Current(int(number), bool(pinned))
        return current, None if served is None else {current.number, *map(int, served.split())}

    def set_current(self, current: Current) -> None:
        """Choose an existing generation to serve. Servers follow within a second.

        Raises
        ------
        UnknownName
            If there is no such generation.
        StorageFailed
            If the disk refuses.
        """
        if not self.generation_path(current.number).is_dir():
            raise _no_generation(current.number, self.generation_numbers())
        mark = b" pinned" if current.pinned else b""
        served = b"".join(b" %d" % number for number in sorted({*self.served_generation_numbers(), current.number}))
        try:
            replace_file(self.path / "CURRENT", b"%06d%b\nserved%b\n" % (current.number, mark, served))
        except OSError as error:
            raise self.failure(f"{self.path / 'CURRENT'} could not be written", error) from None

    def write_refusal(self) -> str:
        """Return why the disk takes no changes here, for a person; empty if it takes them."""
        try:
            # Nothing is written. No file of LMDB's: closing one would give its locks away.
            os.close(os.open(self.path / "FORMAT", os.O_RDWR))
        except OSError as error:
            return f"{self.path} takes no changes: {error.strerror}"
        return ""

    def failure(self, what: str, error: Exception) -> StorageFailed:
        """Return what to raise when the disk has refused a change, which depends on whether it takes any."""
        refusal = self.write_refusal()
        return StorageReadOnly(f"{what}: {refusal}") if refusal else StorageFailed(f"{what}: {error}")

    def size_bytes(self) -> int:
        """Return what registry and generations take on the disk."""
        # A file that goes while this counts no longer counts.
        blocks = 0
        for path in self.path.rglob("*"):
            with suppress(FileNotFoundError):
                blocks += path.stat().st_blocks
        return blocks * 512

    @contextmanager
    def publish_lock(self) -> Iterator[None]:
        """Keep other processes from publishing. The lock goes with the process, however that ends.

        Raises
        ------
        StoreBusy
            If another process holds it.
        StorageFailed
            If the disk refuses.
        """
        try:
            descriptor = os.open(self.path / "PUBLISH.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self.failure("the data directory cannot be locked", error) from None
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreBusy("another process is publishing; try again when it is done") from None
            yield
        finally:
            os.close(descriptor)

    def is_publishing(self) -> bool:
        """Tell whether a process holds the lock."""
        try:
            with (self.path / "PUBLISH.lock").open("rb") as file:
                # Shared: several may ask at once, also where they may not write.
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    @contextmanager
    def staging(self, number: int) -> Iterator[Path]:
        """Yield an empty folder to build generation `number` in; removed at the end unless moved. Needs the lock."""
        root = self.staging_path
        # What a killed build left.
        shutil.rmtree(root, ignore_errors=True)
        folder = root / f"{number:06}"
        folder.mkdir(mode=0o700, parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(root, ignore_errors=True)

    def accept(self, staged: Path, number: int) -> None:
        """Move a finished folder from staging to its place among the generations, durably."""
        fsync_path(staged)
        target = self.generation_path(number)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        staged.rename(target)
        fsync_path(target.parent)
        fsync_path(self.path)

    def remove_generation(self, number: int) -> None:
        """Delete a generation's files, all or, if killed, none. Needs the lock.

        Processes that map it keep their view until they let go.
        """
        removed = self.path / "staging" / f"{number:06}"
        removed.parent.mkdir(mode=0o700, exist_ok=True)
        self.generation_path(number).rename(removed)
        shutil.rmtree(removed.parent)


def _no_generation(number: int, there_are: list[int]) -> UnknownName:
    return UnknownName(f"there is no generation {number}; there are: {', '.join(map(str, there_are)) or 'none'}")
