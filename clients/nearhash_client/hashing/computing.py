"""Computes the hashes of one image file, decoding it once."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from PIL import Image

from nearhash_client.errors import invalid
from nearhash_client.hash_types import find_hash_type

from .decoding import open_image
from .errors import ImageError
from .forms import checked_forms
from .frames import DecodedFrame, Frame, checked_choice, decoded_frames
from .letterbox import content_box
from .limits import Limits
from .perceptual import Picture, hasher_of, perceptual_hashes
from .sources import Source, opened, read_all, read_chunks

Letterbox = Literal["keep", "remove", "both"]

DIGESTS = frozenset({"md5", "sha1", "sha256"})
_DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class ComputedHash:
    """A hash of an image file. Two are equal if type, form, value and quality are.

    Attributes
    ----------
    hash_type
        A name from `HASH_TYPES`.
    value
        Most significant byte first, of the type's width.
    quality
        PDQ's measure of how much the image tells, 0 to 100; below 50 the hash is better not relied on. None for other
        types.
    form
        How the image was turned before: a name from `FORMS`.
    frame
        What of the file was hashed; None for digests.
    hasher
        What computed it, with versions, such as ``"pdqhash 0.2.8, pillow 13.0.0"``; empty for digests, which are the
        same everywhere.
    """

    hash_type: str
    value: bytes
    quality: int | None
    form: str = "original"
    frame: Frame | None = field(default=None, compare=False)
    hasher: str = field(default="", compare=False)

    @property
    def hex(self) -> str:
        """The hash as hash lists spell it, in lower case."""
        return self.value.hex()


def compute(
    source: Source | Image.Image,
    hash_types: Sequence[str] = ("phash64", "pdq256"),
    *,
    forms: Sequence[str] = ("original",),
    frames: str = "first",
    letterbox: Letterbox = "keep",
    limits: Limits = _DEFAULT_LIMITS,
) -> tuple[ComputedHash, ...]:
    """Return hashes of an image, decoded once for all types asked for.

    What counts is what a viewer shows: turned upright as its EXIF orientation says, on white where it is transparent.
    The digests md5, sha1 and sha256 are of the file's bytes; asked for alone they decode nothing, take files of any
    kind and size, and read them in chunks.

    Parameters
    ----------
    source
        A path, a file's bytes, a binary file (read from its position to its end), or an image, which is not changed.
    hash_types
        Names from `HASH_TYPES`.
    forms
        Names from `FORMS`: how the image is turned and mirrored before it is hashed.
    frames
        Of an animation: ``"first"``, ``"all"``, ``"every:N"`` (the first and each N-th after it) or ``"spread:N"`` (N,
        from the first to the last).
    letterbox
        What is done with bars around the picture: ``"keep"``, ``"remove"``, or ``"both"``, which hashes a picture with
        bars as a whole, too.
    limits
        Bounds on what is decoded.

    Returns
    -------
    tuple of ComputedHash
        In the order of `hash_types`; of each type by frame, the whole before what lies within the bars, then by form.

    Raises
    ------
    NotAnImage
        If the source is empty, a directory, or in no image format that is read.
    ImageTooLarge
        If it exceeds the limits in bytes, pixels or frames.
    ImageTooSlow
        If it takes longer than the limits allow.
    TruncatedImage
        If it ends early or is damaged.
    ImageError
        If a digest, or another frame than the one it stands at, of an image without a file is asked for.
    InvalidRequest
        If a hash type or form does not exist, or `frames` or `letterbox` is none of the above.
    OSError
        If the file cannot be read.
    """
    names = checked_names(hash_types)
    checked_forms(forms)
    checked_choice(frames)
    if letterbox not in get_args(Letterbox):
        raise invalid("letterbox", f"found {letterbox!r}; it is one of {', '.join(get_args(Letterbox))}")
    if isinstance(source, Image.Image):
        image, name = _checked_image(source, names, frames)
        return _ordered(names, {}, decoded_frames(image, name, "first", limits), forms, letterbox)
    with opened(source) as (file, file_name):
        if DIGESTS.issuperset(names):
            digests = _digest(read_chunks(file, file_name), names)
            return _ordered(names, digests, (), forms, letterbox)
        data = read_all(file, file_name, limits.max_bytes)
    digests = _digest([data], [name for name in names if name in DIGESTS])
    decoded = decoded_frames(open_image(data, file_name), file_name, frames, limits)
    return _ordered(names, digests, decoded, forms, letterbox)


def checked_names(hash_types: Sequence[str]) -> list[str]:
    """Return the names of hash types.

    Raises
    ------
    InvalidRequest
        If one does not exist.
    """
    if isinstance(hash_types, str):
        raise invalid("hash_types", f"found the str {hash_types!r}; pass a sequence of names, [{hash_types!r}]")
    return [find_hash_type(name).name for name in hash_types]


def frame_hashes(
    decoded: DecodedFrame, names: Iterable[str], forms: Sequence[str], letterbox: Letterbox
) -> Iterator[ComputedHash]:
    """Yield the perceptual hashes of a frame: of each part of it that is to be hashed, each type, each form."""
    for frame, rgb in _parts(decoded, letterbox):
        picture = Picture(rgb)
        for name in names:
            for form, value, quality in perceptual_hashes(picture, name, forms):
                yield ComputedHash(name, value, quality, form, frame, hasher_of(name))


def _ordered(
    names: Sequence[str],
    digests: dict[str, bytes],
    decoded: Iterable[DecodedFrame],
    forms: Sequence[str],
    letterbox: Letterbox,
) -> tuple[ComputedHash, ...]:
    found = {name: [ComputedHash(name, digests[name], None)] if name in digests else [] for name in names}
    of_pixels = [name for name in found if name not in DIGESTS]
    for each in decoded:
        for item in frame_hashes(each, of_pixels, forms, letterbox):
            found[item.hash_type].append(item)
    return tuple(item for name in names for item in found[name])


def _checked_image(image: Image.Image, names: Sequence[str], frames: str) -> tuple[Image.Image, str]:
    name = str(getattr(image, "filename", "")) or "<image>"
    for hash_type in names:
        if hash_type in DIGESTS:
            raise ImageError(f"{name}: {hash_type} is of a file's bytes; pass the path, the bytes or the file")
    if frames != "first":
        raise ImageError(f"{name}: an open image is hashed as it stands; pass the path, the bytes or the file")
    return image, name


def _parts(decoded: DecodedFrame, letterbox: Letterbox) -> Iterator[DecodedFrame]:
    box = None if letterbox == "keep" else content_box(decoded.rgb)
    if box is None or letterbox == "both":
        yield decoded
    if box is not None:
        yield DecodedFrame(replace(decoded.frame, cropped=box), decoded.rgb.crop(box))


def _digest(chunks: Iterable[bytes], names: Sequence[str]) -> dict[str, bytes]:
    digests = {name: hashlib.new(name, usedforsecurity=False) for name in names}
    for chunk in chunks:
        for digest in digests.values():
            digest.update(chunk)
    return {name: digest.digest() for name, digest in digests.items()}
