"""Planes: codes sliced, one array per slice, so that a vector register holds the same slice of many codes."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nearhash_index.codes import Codes

__all__ = ["Planes", "codes_of", "planes_of"]

Planes: TypeAlias = NDArray[Any]
"""uint16[4, n] for codes of one word, else uint64[words, n]; C-contiguous."""


def planes_of(codes: Codes) -> Planes:
    """Copy codes into planes, as the kernels read them.

    Parameters
    ----------
    codes : uint64[n, words]

    """
    slices = codes.view(np.uint16) if codes.shape[1] == 1 else codes
    return np.array(slices.T, order="C")


def codes_of(planes: Planes) -> Codes:
    """Return the codes that planes were made of: the inverse of `planes_of`."""
    return np.ascontiguousarray(planes.T).view(np.uint64)
