"""Bounds on what is decoded."""

import time
from dataclasses import dataclass

from .errors import ImageTooSlow


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what is decoded, all inclusive.

    Attributes
    ----------
    max_pixels
        Width times height of a frame, compared before it is decoded. At its peak, memory per pixel is about 10 bytes
        for phash64, dhash64 and ahash64, 35 for pdq256 and 45 for whash64.
    max_bytes
        Size of an image's file, which is read whole. Digests alone, and videos, are computed from files of any size.
    max_frames
        Frames of an animation or a video that are hashed.
    max_time_s
        Seconds for one file, compared before each frame. A frame that is being decoded or hashed is not interrupted:
        where the time must hold whatever the file holds, hash in a `HashingPool`, which ends a process that is late.
    """

    max_pixels: int = 64 * 1024 * 1024
    max_bytes: int = 64 * 1024 * 1024
    max_frames: int = 1000
    max_time_s: float = 60.0


class Stopwatch:
    """Runs from its creation on."""

    def __init__(self, name: str, limits: Limits) -> None:
        self._name = name
        self._max_time_s = limits.max_time_s
        self._end_s = time.monotonic() + limits.max_time_s

    def is_over(self) -> bool:
        """Tell whether the time is spent."""
        return time.monotonic() > self._end_s

    def check(self) -> None:
        """Raise ImageTooSlow if the time is spent."""
        if self.is_over():
            raise ImageTooSlow(f"{self._name}: not hashed within max_time_s = {self._max_time_s}")
