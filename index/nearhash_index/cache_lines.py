"""How the kernels read the tables' entries: by cache lines, two at once."""

from __future__ import annotations

__all__ = ["LANES", "LINE"]

LINE = 16
"""uint32 values per cache line."""
LANES = 32
"""uint32 values compared at once: two cache lines, and two registers of AVX-512 or four of AVX2."""
