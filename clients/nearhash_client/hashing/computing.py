"""Computes the hashes of one image file, decoding it once."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import imagehash
import numpy as np
import pdqhash
from PIL import Image

from nearhash_client.errors import invalid
from nearhash_client.hash_types import find_hash_type

from .decoding import Limits, decode, to_rgb
from .errors import ImageError
from .sources import Source, opened, read_all, read_chunks

_DIGESTS = frozenset({"md5", "sha1", "sha256"})
_IMAGE_HASHES = {
    "phash64": imagehash.phash,
    "dhash64": imagehash.dhash,
    "ahash64": imagehash.average_hash,
    "whash64": imagehash.whash,
}
_DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class ComputedHash:
    """A hash of an image file.

    Attributes
    ----------
    hash_type
        A name from `HASH_TYPES`.
    value
        Most significant byte first, of the type's width.
    quality
        PDQ's measure of how much the image tells, 0 to 100; below 50 the hash is better not relied on. None for other
        types.
    """

    hash_type: str
    value: bytes
    quality: int | None

    @property
    def hex(self) -> str:
        """The hash as hash lists spell it, in lower case."""
        return self.value.hex()


def compute(
    source: Source | Image.Image,
    hash_types: Sequence[str] = ("phash64", "pdq256"),
    *,
    limits: Limits = _DEFAULT_LIMITS,
) -> tuple[ComputedHash, ...]:
    """Return hashes of an image, decoded once for all types asked for.

    What counts is what a viewer shows: the first frame, turned upright as its EXIF orientation says, on white where it
    is transparent. The digests md5, sha1 and sha256 are of the file's bytes; asked for alone they decode nothing, take
    files of any kind and size, and read them in chunks.

    Parameters
    ----------
    source
        A path, a file's bytes, a binary file (read from its position to its end), or an image, which is not changed.
    hash_types
        Names from `HASH_TYPES`.
    limits
        Bounds on what is decoded.

    Returns
    -------
    tuple of ComputedHash
        In the order of `hash_types`.

    Raises
    ------
    NotAnImage
        If the source is empty, a directory, or in no image format that is read.
    ImageTooLarge
        If it exceeds the limits.
    TruncatedImage
        If it ends early or is damaged.
    ImageError
        If a digest of an image without a file is asked for.
    InvalidRequest
        If a hash type does not exist.
    OSError
        If the file cannot be read.
    """
    if isinstance(hash_types, str):
        raise invalid("hash_types", f"found the str {hash_types!r}; pass a sequence of names, [{hash_types!r}]")
    names = [find_hash_type(name).name for name in hash_types]
    if isinstance(source, Image.Image):
        return _hash_image(source, names, limits)
    with opened(source) as (file, file_name):
        if _DIGESTS.issuperset(names):
            digests = _digest(read_chunks(file, file_name), names)
            return tuple(ComputedHash(name, digests[name], None) for name in names)
        data = read_all(file, file_name, limits.max_bytes)
    digests = _digest([data], [name for name in names if name in _DIGESTS])
    rgb = decode(data, file_name, limits)
    return tuple(
        ComputedHash(name, digests[name], None) if name in digests else _perceptual(rgb, name) for name in names
    )


def _hash_image(image: Image.Image, names: Sequence[str], limits: Limits) -> tuple[ComputedHash, ...]:
    image_name = str(getattr(image, "filename", "")) or "<image>"
    for name in names:
        if name in _DIGESTS:
            raise ImageError(f"{image_name}: {name} is of a file's bytes; pass the path, the bytes or the file")
    rgb = to_rgb(image, image_name, limits)
    return tuple(_perceptual(rgb, name) for name in names)


def _perceptual(rgb: Image.Image, name: str) -> ComputedHash:
    if name == "pdq256":
        bits, quality = pdqhash.compute(np.asarray(rgb))
        return ComputedHash(name, np.packbits(bits.astype(bool)).tobytes(), int(quality))
    return ComputedHash(name, np.packbits(_IMAGE_HASHES[name](rgb).hash).tobytes(), None)


def _digest(chunks: Iterable[bytes], names: Sequence[str]) -> dict[str, bytes]:
    digests = {name: hashlib.new(name, usedforsecurity=False) for name in names}
    for chunk in chunks:
        for digest in digests.values():
            digest.update(chunk)
    return {name: digest.digest() for name, digest in digests.items()}
