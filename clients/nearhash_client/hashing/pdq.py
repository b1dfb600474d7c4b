"""PDQ of a picture in all eight forms, from one pass over its pixels.

PDQ reduces a picture to 64 x 64 by weights for its rows and weights for its columns. A mirrored picture has the same
weights in reverse: both together, along both axes, give four reduced pictures, and transposed these are the other four.
The authors' own eight forms, which take one reduced picture and change the signs of its frequencies, are others, since
the weights are not symmetric: an even window reaches further to one side, and the places that are kept lie off centre.

Source: "The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing Algorithm", Facebook, 2019.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import pdqhash
from numpy.typing import NDArray

from .forms import TURNS

_SIDE = 64
_MIN_SIDE = 5
"""Of a picture that is smaller in one direction PDQ says nothing: no bits, and a quality of 0."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_FREQUENCIES = np.arange(1, 17)[:, np.newaxis]
"""Of the cosine transform; 0, the mean, is left out."""
_COSINES = np.sqrt(2 / _SIDE) * np.cos(np.pi / (2 * _SIDE) * _FREQUENCIES * (2 * np.arange(_SIDE) + 1))

_MIN_GAP = 0.002
"""Between the 128 strongest frequencies and the others. `pdqhash` rounds its running sums, which moved the two that the
gap lies between by at most 0.001 against each other, of 2,000 pictures: where it is smaller, the library is asked."""


def pdq(rgb: NDArray[np.uint8], forms: Iterable[str]) -> dict[str, tuple[bytes, int]]:
    """Return the hash and the quality, 0 to 100, of a picture in these forms: those `pdqhash` gives of it turned.

    Parameters
    ----------
    rgb : uint8[height, width, 3]
    forms
        Names from `FORMS`.
    """
    if min(rgb.shape[:2]) < _MIN_SIDE:
        return dict.fromkeys(forms, (bytes(32), 0))
    reduced = _reduced(rgb)
    return {form: _hash_of(reduced, form) or _hash_by_library(rgb, form) for form in forms}


def _reduced(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return levels of grey, [2, 2, 64, 64]: rows as they are or in reverse, columns likewise."""
    height, width, _ = rgb.shape
    rows = _reduced_lines(rgb.reshape(height, width * 3)).reshape(2, _SIDE, width, 3)
    grey = np.einsum("rywc,c->wry", rows, _LUMA)
    columns = _reduced_lines(grey.reshape(width, 2 * _SIDE)).reshape(2, _SIDE, 2, _SIDE)
    return columns.transpose(2, 0, 3, 1)


def _reduced_lines(lines: NDArray[Any]) -> NDArray[np.float32]:
    """Return 64 lines for many, [2, 64, pixels]: in their order, and in reverse."""
    weights = _weights(len(lines))
    reduced = np.empty((2, _SIDE, lines.shape[1]), np.float32)
    for i in range(_SIDE):
        # A line and the one at its place in reverse come of the same few, so that each is read about once.
        pair = (0, 1), (i, _SIDE - 1 - i)
        used = np.flatnonzero(weights[pair].any(axis=0))
        few = slice(used[0], used[-1] + 1)
        # Not as a product of matrices: BLAS starts threads for that, which get into the way of other processes'.
        reduced[pair] = np.einsum("kn,np->kp", weights[pair][:, few], lines[few].astype(np.float32))
    return reduced


@lru_cache(maxsize=4)
def _weights(length: int) -> NDArray[np.float32]:
    """Return what each of 64 places takes of a line of pixels, [2, 64, length]: of the line, and of it in reverse.

    The mean of the means over a window, cut off at the ends, around each pixel in the window around the place.
    """
    window = -(-length // (2 * _SIDE))
    right = window // 2
    left = window - 1 - right
    pixels = np.arange(length)
    first = np.maximum(pixels - left, 0)
    end = np.minimum(pixels + right + 1, length)
    places = ((np.arange(_SIDE) + 0.5) * length / _SIDE).astype(int)[:, np.newaxis]
    outer = ((first[places] <= pixels) & (pixels < end[places])) / (end - first)[places]
    sums = np.pad(np.cumsum(outer / (end - first), axis=1), ((0, 0), (1, 0)))
    # The windows that a pixel is in are those around pixels as far to its left as windows reach right.
    forward = sums[:, np.minimum(pixels + left + 1, length)] - sums[:, np.maximum(pixels - right, 0)]
    forward[forward < 1e-9] = 0
    return np.stack([forward, forward[:, ::-1]]).astype(np.float32)


def _hash_of(reduced: NDArray[np.float32], form: str) -> tuple[bytes, int] | None:
    """Return a form's hash and quality, or None where rounding may decide a bit."""
    rows, columns, transposed = TURNS[form]
    small = reduced[int(rows), int(columns)]
    small = small.T if transposed else small
    frequencies = (_COSINES @ small @ _COSINES.T).ravel()
    lower, upper = np.partition(frequencies, (127, 128))[127:129]
    if upper - lower < _MIN_GAP:
        return None
    return np.packbits(frequencies[::-1] > lower).tobytes(), _quality(small)


def _quality(small: NDArray[np.float32]) -> int:
    """Sum the steps between neighbours, in whole percent of the range; 90 in all are one point."""
    steps = [np.abs(np.trunc(np.diff(small, axis=axis) * 100 / 255)).sum() for axis in (0, 1)]
    return min(100, int(sum(steps) // 90))


def _hash_by_library(rgb: NDArray[np.uint8], form: str) -> tuple[bytes, int]:
    rows, columns, transposed = TURNS[form]
    turned = rgb[:: -1 if rows else 1, :: -1 if columns else 1]
    bits, quality = pdqhash.compute(np.ascontiguousarray(turned.swapaxes(0, 1) if transposed else turned))
    return np.packbits(bits.astype(np.bool_)).tobytes(), int(quality)
