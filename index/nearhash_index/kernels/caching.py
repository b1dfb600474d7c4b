# mypy: disable-error-code="no-untyped-call"
# (Numba has no types.)
"""Compiled kernels on disk, safe for several processes, for a kill in between, and for changes of what a kernel calls.

Numba writes its index before the code that the index tells of, and numbers the files of code from 1. So a process that
starts meanwhile, or after a kill, may run the code of an earlier version, or of other types: other answers, or none.
Here code has a file that no other code ever has, and is there before the index tells of it. Besides, Numba looks for
changes of the file that a kernel is in, by its time and size; but a kernel contains what it calls, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import IndexDataCacheFile

__all__ = ["compiled"]


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator as `numba.njit` does, whose functions are kept on disk."""

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = njit(cache=True, **options)(function)
        dispatcher._cache._cache_file = _CacheFile(dispatcher._cache)
        return dispatcher

    return decorate


class _CacheFile(IndexDataCacheFile):
    """Stands in place of Numba's."""

    def __init__(self, numbas: Any) -> None:
        stamp = numbas._impl.locator.get_source_stamp(), _digest_of_kernels()
        super().__init__(numbas.cache_path, numbas._impl.filename_base, stamp)

    def save(self, key: Any, data: Any) -> None:
        """Write the code, then tell of it. Should two processes do so at once, one has to compile again some day."""
        digest = sha256(repr((key, self._source_stamp)).encode()).digest()
        name = self._data_name(int.from_bytes(digest[:8]))
        self._save_data(name, data)
        self._save_index(self._load_index() | {key: name})


@cache
def _digest_of_kernels() -> str:
    """Return a digest of all that a kernel may contain: kernels, and what they import, as its constants are in them."""
    folder = Path(__file__).parent
    kernels = b"".join(source.read_bytes() for source in sorted(folder.glob("*.py")))
    imported = sorted(set(re.findall(rb"^from nearhash_index\.(\w+) import", kernels, re.MULTILINE)))
    constants = b"".join((folder.parent / f"{name.decode()}.py").read_bytes() for name in imported)
    return sha256(kernels + constants).hexdigest()
