"""The perceptual hashes of a picture, also as it would be turned and mirrored."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, NamedTuple

import imagehash
import numpy as np
from PIL import Image, ImageOps

from .forms import FORMS, TURNS
from .pdq import pdq


class Hashed(NamedTuple):
    """A hash of one form; `quality` is PDQ's, 0 to 100."""

    form: str
    value: bytes
    quality: int | None


class Picture:
    """A picture in mode RGB, and its grey levels, converted once for all hashes that need them."""

    def __init__(self, rgb: Image.Image) -> None:
        self.rgb = rgb

    @cached_property
    def grey(self) -> Image.Image:
        """The picture in mode L."""
        return self.rgb.convert("L")


def perceptual_hashes(picture: Picture, hash_type: str, forms: Sequence[str]) -> Iterator[Hashed]:
    """Yield the hashes of a picture in these forms, in the order of `FORMS`.

    They are those of the picture turned and mirrored.
    """
    wanted = [form for form in FORMS if form in forms]
    if hash_type == "pdq256":
        for form, (value, quality) in pdq(np.asarray(picture.rgb), wanted).items():
            yield Hashed(form, value, quality)
    else:
        yield from _image_hashes(picture.grey, *_IMAGE_HASHES[hash_type], wanted)


def hasher_of(hash_type: str) -> str:
    """Return what computes a perceptual hash here, with versions. The decoder counts: it changes hashes, too."""
    return _HASHERS[hash_type]


def _image_hashes(
    grey: Image.Image, compute: Callable[[Image.Image], Any], reduce: Callable[[Image.Image], Image.Image], forms: Any
) -> Iterator[Hashed]:
    # ImageHash begins by reducing the picture. Flipped first or reduced first is the same to the bit; mirrored at a
    # diagonal is not, since rows are reduced before columns.
    reduced = {
        transposed: reduce(grey.transpose(Image.Transpose.TRANSPOSE) if transposed else grey)
        for transposed in {TURNS[form].transposed for form in forms}
    }
    for form in forms:
        rows, columns, transposed = TURNS[form]
        small = reduced[transposed]
        # What were columns before are rows now.
        if columns if transposed else rows:
            small = ImageOps.flip(small)
        if rows if transposed else columns:
            small = ImageOps.mirror(small)
        yield Hashed(form, np.packbits(compute(small).hash).tobytes(), None)


def _reduced_to(width: int, height: int) -> Callable[[Image.Image], Image.Image]:
    return lambda grey: grey.resize((width, height), Image.Resampling.LANCZOS)


def _reduced_to_square(grey: Image.Image) -> Image.Image:
    side = max(1 << (min(grey.size).bit_length() - 1), 8)
    return grey.resize((side, side), Image.Resampling.LANCZOS)


# The function, and the reduction that it begins with; done before, it changes nothing.
_IMAGE_HASHES: Mapping[str, tuple[Any, Callable[[Image.Image], Image.Image]]] = MappingProxyType(
    {
        "phash64": (imagehash.phash, _reduced_to(32, 32)),
        "dhash64": (imagehash.dhash, _reduced_to(9, 8)),
        "ahash64": (imagehash.average_hash, _reduced_to(8, 8)),
        "whash64": (imagehash.whash, _reduced_to_square),
    }
)

_HASHERS = MappingProxyType(
    {
        **dict.fromkeys(_IMAGE_HASHES, f"imagehash {version('imagehash')}, pillow {version('pillow')}"),
        "pdq256": f"nearhash {version('nearhash')}, pdqhash {version('pdqhash')}, pillow {version('pillow')}",
    }
)
