"""Numba kernels. Each module of them is loaded when it is first used: Numba takes longer to load than most commands do.

>>> from nearhash_index import kernels
>>> kernels.scanning.BLOCK_BYTES
16384
"""

from __future__ import annotations

import sys
from importlib import import_module
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nearhash_index.kernels import building, degenerate, intrinsics, probing, quick_search, scanning

__all__ = ["building", "degenerate", "intrinsics", "probing", "quick_search", "scanning"]

_BLAS = "scipy.linalg.cython_blas"
_loading = Lock()


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with _loading:
        _load_numba()
        return import_module(f"{__name__}.{name}")


def _load_numba() -> None:
    """Load what Numba needs for any kernel.

    That includes SciPy for its BLAS, where it is installed: a quarter of a second, and 16 MB in each process, for what
    no kernel calls. So Numba is told that there is none, unless it is there anyway.
    """
    hidden = "scipy.linalg" not in sys.modules
    if hidden:
        sys.modules[_BLAS] = None  # type: ignore[assignment]
    try:
        import_module("numba.np.arraymath")
    finally:
        if hidden:
            sys.modules.pop(_BLAS, None)
