"""The frames of an image file that are hashed, and what was done to each before."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image

from nearhash_client.errors import invalid

from .decoding import DAMAGED, orientation_of, to_rgb
from .errors import ImageTooLarge, TruncatedImage
from .limits import Limits, Stopwatch

Box = tuple[int, int, int, int]
"""Left, upper, right and lower edge in pixels; right and lower are exclusive."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What of a file was hashed.

    Attributes
    ----------
    number
        Which frame of the file, from 0.
    width, height
        In pixels, as a viewer shows it.
    orientation
        The EXIF orientation, 1 to 8, from which the image was turned upright; 1: it was upright.
    time_s
        In a video: when the frame is shown, in seconds from the beginning.
    cropped
        The part that was hashed, if bars were cut off.
    """

    number: int
    width: int
    height: int
    orientation: int = 1
    time_s: float | None = None
    cropped: Box | None = None


class DecodedFrame(NamedTuple):
    """A frame and its pixels, in mode RGB."""

    frame: Frame
    rgb: Image.Image


def decoded_frames(image: Image.Image, name: str, choice: str, limits: Limits) -> Iterator[DecodedFrame]:
    """Decode the frames chosen, one at a time; `to_rgb` says what of each counts.

    Parameters
    ----------
    choice
        ``"first"``, ``"all"``, ``"every:N"`` (the first and each N-th after it) or ``"spread:N"`` (N, from the first to
        the last; all if there are fewer).

    Raises
    ------
    InvalidRequest
        If it is none of these.
    ImageTooLarge, ImageTooSlow
        If there are more frames than allowed, or they take longer.
    ImageError
        As `to_rgb`.
    """
    stopwatch = Stopwatch(name, limits)
    for number in _chosen(image, name, checked_choice(choice), limits):
        # One by one: to reach a frame, most formats decode those before it.
        while image.tell() < number:
            stopwatch.check()
            _seek(image, image.tell() + 1, name)
        stopwatch.check()
        rgb = to_rgb(image, name, limits)
        # Read after the pixels: a PNG may tell it behind them.
        yield DecodedFrame(Frame(image.tell(), rgb.width, rgb.height, orientation_of(image)), rgb)


def checked_choice(choice: str) -> tuple[str, int]:
    """Return a choice of frames as a kind and its number.

    Raises
    ------
    InvalidRequest
        If it is none.
    """
    kind, colon, number = choice.partition(":")
    if not colon and kind in ("first", "all"):
        return kind, 1
    if kind in ("every", "spread") and number.isascii() and number.isdecimal() and int(number[:9]) > 0:
        return kind, int(number[:9])
    raise invalid("frames", f"found {choice!r}; it is first, all, every:N or spread:N, with N at least 1")


def _chosen(image: Image.Image, name: str, choice: tuple[str, int], limits: Limits) -> Iterable[int]:
    kind, number = choice
    if kind == "first":
        return (0,)
    try:
        count = int(getattr(image, "n_frames", 1))
    except DAMAGED as error:
        raise TruncatedImage(f"{name}: truncated or damaged; pass the complete file ({error})") from error
    if kind == "spread":
        shown = min(number, count)
        numbers: Iterable[int] = [round(i * (count - 1) / max(shown - 1, 1)) for i in range(shown)]
    else:
        numbers = range(0, count, number)
    chosen = len(list(numbers))
    if chosen > limits.max_frames:
        raise ImageTooLarge(
            f"{name}: {chosen} frames to hash; at most max_frames = {limits.max_frames} are. Choose fewer: "
            f"spread:{limits.max_frames}"
        )
    return numbers


def _seek(image: Image.Image, number: int, name: str) -> None:
    try:
        image.seek(number)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageTooLarge(f"{name}: frame {number} is too large to decode ({error})") from error
    except DAMAGED as error:
        raise TruncatedImage(f"{name}: frame {number} is truncated or damaged; pass the complete file") from error
