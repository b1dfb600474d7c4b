"""Arrays in an immutable LMDB environment, used in place from the memory map.

Each array is one value: padding, its bytes in C order, and zeros up to a page if it is smaller. The padding makes the
array start at a 64-byte boundary, where the kernels like it: LMDB starts a value of a page or more some bytes into a
page, how many depends on its format version, so the writer asks a value that it has put.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any
from weakref import finalize, ref

import lmdb
import numpy as np
from numpy.typing import NDArray

from nearhash_index.errors import CorruptData
from nearhash_index.store.files import fsync_path

__all__ = ["ALIGNMENT_BYTES", "ArraySpec", "map_arrays", "write_arrays"]

ALIGNMENT_BYTES = 64
_PAGE_BYTES = 4096
_PROBE = b"\0probe"

_opening = RLock()
"""Held to open and to close; a thread may come to close one while it opens another."""
_opened: dict[tuple[int, int], _Handle] = {}
"""By device and inode: a path may be written in several ways, and come to name another file."""


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """How to read an array back.

    Attributes
    ----------
    dtype : str
        NumPy's name with byte order, such as "<u8".
    shape : tuple of int
    """

    dtype: str
    shape: tuple[int, ...]


def write_arrays(folder: Path, arrays: Iterable[tuple[str, NDArray[Any]]]) -> dict[str, ArraySpec]:
    """Write arrays into a new LMDB environment in `folder`, durably; each may be freed when the next is asked for.

    Costs a copy of one array at a time.

    Raises
    ------
    OSError, lmdb.Error
        If the disk refuses.
    """
    specs = {}
    # Not synced per value: nobody reads the file before the one sync at the end.
    env: Any = lmdb.open(str(folder), map_size=1 << 40, mode=0o600, sync=False, lock=False)
    try:
        padding_bytes = _padding_bytes(env)
        for name, array in arrays:
            value = np.zeros(padding_bytes + max(array.nbytes, _PAGE_BYTES), dtype=np.uint8)
            value[padding_bytes : padding_bytes + array.nbytes].view(array.dtype).reshape(array.shape)[...] = array
            with env.begin(write=True) as txn:
                txn.put(name.encode(), value)
            specs[name] = ArraySpec(array.dtype.str, array.shape)
        env.sync(True)
    finally:
        env.close()
    fsync_path(folder)
    return specs


def map_arrays(
    folder: Path, specs: Mapping[str, ArraySpec], between_arrays: Callable[[], object] = lambda: None
) -> dict[str, NDArray[Any]]:
    """Map arrays that `write_arrays` wrote. Nothing is copied.

    The environment stays open until the last of the arrays, and of all views of them, is gone.

    Parameters
    ----------
    between_arrays : callable
        Called after each array: LMDB's binding reads a byte of each of its pages, 2 ms for 150 MB.

    Returns
    -------
    dict of read-only arrays, each aligned to 64 bytes.

    Raises
    ------
    CorruptData
        If an array is missing or too short.
    """
    try:
        environment = _environment(folder)
        arrays = {}
        for name, spec in specs.items():
            arrays[name] = environment.array(name, spec)
            between_arrays()
    except lmdb.Error as error:
        raise CorruptData(f"{folder} is damaged: {error}") from None
    return arrays


def _environment(folder: Path) -> _Environment:
    """Return the environment at `folder`, which LMDB opens only once per process."""
    with _opening:
        file = (folder / "data.mdb").stat()
        identity = file.st_dev, file.st_ino
        handle = _opened.get(identity)
        environment = handle.environment() if handle else None
        if environment is None:
            if handle:
                # Its last array is gone, and another thread is about to close it.
                handle.close()
            handle = _Handle(folder, file.st_size)
            environment = _Environment(handle.txn)
            handle.environment = ref(environment)
            _opened[identity] = handle
            finalize(environment, _let_go, identity, handle).atexit = False
        return environment


def _let_go(identity: tuple[int, int], handle: _Handle) -> None:
    with _opening:
        handle.close()
        if _opened.get(identity) is handle:
            del _opened[identity]


class _Handle:
    """What LMDB has opened. Kept until it is closed, so that it is closed before the file is opened again."""

    environment: Callable[[], _Environment | None]

    def __init__(self, folder: Path, size_bytes: int) -> None:
        self._env: Any = lmdb.open(
            str(folder), readonly=True, lock=False, create=False, readahead=False, map_size=size_bytes
        )
        self.txn = self._env.begin(buffers=True)

    def close(self) -> None:
        """Close it, also if it is closed already."""
        self._env.close()


class _Environment:
    """An open environment's transaction, in which its values are valid. Every array keeps it alive."""

    def __init__(self, txn: Any) -> None:
        self._txn = txn

    def array(self, name: str, spec: ArraySpec) -> NDArray[Any]:
        value = self._txn.get(name.encode())
        if value is None:
            raise CorruptData(f"array {name} is missing")
        address = np.frombuffer(value, dtype=np.uint8).ctypes.data
        padding_bytes = -address % ALIGNMENT_BYTES
        size_bytes = int(np.dtype(spec.dtype).itemsize * np.prod(spec.shape, dtype=np.int64))
        if padding_bytes + size_bytes > len(value):
            raise CorruptData(f"array {name} has {len(value) - padding_bytes} bytes instead of {size_bytes}")
        return np.asarray(_MappedArray(self, address + padding_bytes, spec))


class _MappedArray:
    """Lends memory to NumPy, whose array keeps this object, and so the environment, alive."""

    def __init__(self, environment: _Environment, address: int, spec: ArraySpec) -> None:
        self._environment = environment
        self.__array_interface__ = {
            "version": 3,
            "typestr": spec.dtype,
            "shape": spec.shape,
            "data": (address, True),  # True: read-only
        }


def _padding_bytes(env: Any) -> int:
    """Measure how far into a page LMDB starts a large value, and return what is missing to the next boundary."""
    with env.begin(write=True) as txn:
        txn.put(_PROBE, bytes(2 * _PAGE_BYTES))
    with env.begin(buffers=True) as txn:
        address = np.frombuffer(txn.get(_PROBE), dtype=np.uint8).ctypes.data
    with env.begin(write=True) as txn:
        txn.delete(_PROBE)
    return -address % ALIGNMENT_BYTES
