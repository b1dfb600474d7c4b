"""Bars around a picture: of any one colour each, as players, screenshots and editors add them."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .frames import Box

_FLAT_LEVELS = 6
"""Levels by which a pixel of a bar may differ from its colour, in each channel."""
_EDGE_LEVELS = 24
"""The same within `_EDGE_LINES` of the picture, where JPEG's blocks hold both."""
_EDGE_LINES = 16
_FLAT_SHARE = 0.98
"""Share of a line's pixels within the tolerance for the line to belong to a bar."""
_LEAST_SHARE = 0.01
"""Bars narrower than this share of the side are left: they move few bits, and flat edges of pictures are common."""
_LEAST_REST = 0.2
"""What is left must be so much of both sides, or the picture is a flat one with something on it."""
_LINES = 32
"""So many lines are looked at a time: most pictures have no bars, and are told by their edges."""


def content_box(rgb: Image.Image) -> Box | None:
    """Return what lies within the bars of a picture in mode RGB; None if there are no bars.

    Each side's bar has a colour of its own, that of most pixels of the outermost line. Bars above and below are found
    first, then those beside what is left. Blurred or patterned surroundings are no bars, and a flat or
    smoothly graded sky may be taken for one: look the whole picture up, too.
    """
    pixels = np.asarray(rgb)
    top, bottom = _bars(pixels)
    left, right = _bars(pixels[top : len(pixels) - bottom].swapaxes(0, 1))
    if not (top or bottom or left or right):
        return None
    box = (left, top, rgb.width - right, rgb.height - bottom)
    if box[2] - box[0] < _LEAST_REST * rgb.width or box[3] - box[1] < _LEAST_REST * rgb.height:
        return None
    return box


def _bars(lines: NDArray[np.uint8]) -> tuple[int, int]:
    """Return the thickness of the bars at the first and at the last line."""
    least = max(2, round(_LEAST_SHARE * len(lines)))
    first, last = _flat_lines(lines), _flat_lines(lines[::-1])
    if first == len(lines):
        return 0, 0
    return first if first >= least else 0, last if last >= least else 0


def _flat_lines(lines: NDArray[np.uint8]) -> int:
    """Count the lines from the first on that have its colour."""
    colour = np.median(lines[0], axis=0).astype(np.int16)
    flat = _lines_near(lines, colour, _FLAT_LEVELS)
    if not flat:
        return 0
    return flat + _lines_near(lines[flat : flat + _EDGE_LINES], colour, _EDGE_LEVELS)


def _lines_near(lines: NDArray[np.uint8], colour: NDArray[np.int16], levels: int) -> int:
    for start in range(0, len(lines), _LINES):
        near = (np.abs(lines[start : start + _LINES].astype(np.int16) - colour) <= levels).all(axis=2)
        other = np.flatnonzero(near.mean(axis=1) < _FLAT_SHARE)
        if len(other):
            return start + int(other[0])
    return len(lines)
