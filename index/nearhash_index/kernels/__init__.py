"""Numba kernels. Each module of them is loaded when it is first used: Numba takes longer to load than most commands do.

>>> from nearhash_index import kernels
>>> kernels.scanning.BLOCK_BYTES
16384
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nearhash_index.kernels import absence, building, degenerate, intrinsics, probing, scanning

__all__ = ["absence", "building", "degenerate", "intrinsics", "probing", "scanning"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
