"""PDQ by its published description, in NumPy: another implementation to compare with.

The `threatexchange` package calls `pdqhash`, which wraps the authors' C++; nothing else on PyPI computes PDQ otherwise.
So this was written for the comparison from "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm"
(Facebook, 2019). In float64, where the authors' code has float32: bits at the median may differ.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SIDE = 64
_COEFFICIENTS = 16
_DECIMALS = 6


def pdq(rgb: NDArray[np.uint8]) -> tuple[bytes, int]:
    """Return the hash, most significant byte first, and the quality, 0 to 100.

    Parameters
    ----------
    rgb : uint8[height, width, 3]
    """
    luma = rgb.astype(np.float64) @ (0.299, 0.587, 0.114)
    small = _decimated(_tent_filtered(luma))
    # Frequencies 1 to 16 of the DCT; 0, the mean, is left out.
    frequencies = np.arange(1, _COEFFICIENTS + 1)[:, None]
    basis = np.sqrt(2 / _SIDE) * np.cos(np.pi / (2 * _SIDE) * frequencies * (2 * np.arange(_SIDE) + 1))
    # Rounded, since many are 0 in a plain or symmetric picture, and machines sum to 0 with errors of their own.
    coefficients = (basis @ small @ basis.T).round(_DECIMALS).ravel()
    # Of an even number, the lower of the two in the middle.
    bits = coefficients > np.sort(coefficients)[len(coefficients) // 2 - 1]
    return np.packbits(bits[::-1]).tobytes(), _quality(small)


def _tent_filtered(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Blur with two box filters along each axis, as wide as half a pixel of the small image."""
    for _ in range(2):
        for axis in (1, 0):
            values = np.apply_along_axis(_box_filtered, axis, values, -(-values.shape[axis] // (2 * _SIDE)))
    return values


def _box_filtered(line: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return means over a window around each value, cut off at the ends; an even window reaches further right."""
    right = window // 2
    left = window - 1 - right
    sums = np.concatenate([[0], np.cumsum(line)])
    places = np.arange(len(line))
    first = np.maximum(places - left, 0)
    last = np.minimum(places + right, len(line) - 1)
    return (sums[last + 1] - sums[first]) / (last + 1 - first)


def _decimated(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take the value at the centre of each of 64 x 64 cells."""
    rows, columns = (((np.arange(_SIDE) + 0.5) * length / _SIDE).astype(int) for length in values.shape)
    return values[np.ix_(rows, columns)]


def _quality(small: NDArray[np.float64]) -> int:
    """Sum the differences of neighbours, in percent of the full range and rounded down; 90 in all are one point."""
    steps = [np.abs(np.trunc(np.diff(small, axis=axis) * 100 / 255)).sum() for axis in (0, 1)]
    return min(100, int(sum(steps) / 90))
