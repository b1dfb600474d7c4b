"""The engine of NearHash: exact Hamming-radius search, and the store that holds hash lists. No gRPC, no images.

What is named here is loaded when it is first used: errors and hash types, for one, are wanted without NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nearhash_index.index import Index
    from nearhash_index.matches import Matches

__all__ = ["Index", "Matches"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{name.lower()}"), name)
