"""The perceptual hashes of a picture, also as it would be turned and mirrored."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, NamedTuple

import imagehash
import numpy as np
import pdqhash
from PIL import Image

from nearhash_client.errors import invalid

_Transpose = Image.Transpose

FORMS = (
    "original",
    "rotate90",
    "rotate180",
    "rotate270",
    "flip_vertical",
    "flip_horizontal",
    "transpose",
    "transverse",
)
"""What is done to the picture before it is hashed: turned counterclockwise, flipped top to bottom or left to right,
mirrored at one of its diagonals."""

# Each form as: first mirror at the main diagonal or not, then flip.
_STEPS = MappingProxyType(
    {
        "original": (False, None),
        "rotate90": (True, _Transpose.FLIP_TOP_BOTTOM),
        "rotate180": (False, _Transpose.ROTATE_180),
        "rotate270": (True, _Transpose.FLIP_LEFT_RIGHT),
        "flip_vertical": (False, _Transpose.FLIP_TOP_BOTTOM),
        "flip_horizontal": (False, _Transpose.FLIP_LEFT_RIGHT),
        "transpose": (True, None),
        "transverse": (True, _Transpose.ROTATE_180),
    }
)

# Each flip of the picture's rows and columns with the two forms that PDQ gets from it exactly.
_FLIPS = (
    (np.s_[:, :], "original", "transpose"),
    (np.s_[::-1, :], "flip_vertical", "rotate270"),
    (np.s_[:, ::-1], "flip_horizontal", "rotate90"),
    (np.s_[::-1, ::-1], "rotate180", "transverse"),
)
_TRANSPOSE = FORMS.index("transpose")
_EXACT_PDQ_PIXELS = 2 * 1024 * 1024
"""Above, all forms from one pass stay within the 10 bits that PDQ's authors allow between implementations. A picture of
256 pixels' width would be off by 30 on average, which is the radius."""


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

    The 64-bit hashes are exactly those of the picture turned and mirrored. So are PDQ's up to two megapixels. Above,
    all of its forms come from one pass over the picture, and differ by up to about 10 bits from the picture's own that
    was turned: fewer, the larger it is.
    """
    wanted = [form for form in FORMS if form in forms]
    if hash_type == "pdq256":
        found = _pdq(np.asarray(picture.rgb), wanted)
    else:
        found = _image_hashes(picture.grey, *_IMAGE_HASHES[hash_type], wanted)
    for form in wanted:
        yield found[form]


def checked_forms(forms: Sequence[str]) -> tuple[str, ...]:
    """Return the forms if each is one of `FORMS`.

    Raises
    ------
    InvalidRequest
        If one is not, or there are none.
    """
    if isinstance(forms, str):
        raise invalid("forms", f"found the str {forms!r}; pass a sequence of names, [{forms!r}]")
    if not forms:
        raise invalid("forms", f"found none; pass at least one of {', '.join(FORMS)}")
    for form in forms:
        if form not in FORMS:
            raise invalid("forms", f"found {form!r}; each is one of {', '.join(FORMS)}")
    return tuple(forms)


def hasher_of(hash_type: str) -> str:
    """Return what computes a perceptual hash here, with versions. The decoder counts: it changes hashes, too."""
    return _HASHERS[hash_type]


def _pdq(pixels: Any, forms: Sequence[str]) -> dict[str, Hashed]:
    if forms == ["original"]:
        return {"original": _packed("original", *pdqhash.compute(pixels))}
    if pixels.shape[0] * pixels.shape[1] > _EXACT_PDQ_PIXELS:
        hashes, quality = pdqhash.compute_dihedral(pixels)
        return {form: _packed(form, bits, quality) for form, bits in zip(FORMS, hashes, strict=True)}
    found = {}
    for flip, form, mirrored in _FLIPS:
        if form in forms or mirrored in forms:
            hashes, quality = pdqhash.compute_dihedral(np.ascontiguousarray(pixels[flip]))
            found[form] = _packed(form, hashes[0], quality)
            found[mirrored] = _packed(mirrored, hashes[_TRANSPOSE], quality)
    return found


def _packed(form: str, bits: Any, quality: int) -> Hashed:
    return Hashed(form, np.packbits(bits.astype(np.bool_)).tobytes(), int(quality))


def _image_hashes(
    grey: Image.Image, compute: Callable[[Image.Image], Any], reduce: Callable[[Image.Image], Image.Image], forms: Any
) -> dict[str, Hashed]:
    # ImageHash begins by reducing the picture. Flipped first or reduced first is the same to the bit; mirrored at a
    # diagonal is not, since rows are reduced before columns.
    reduced = {
        mirrored: reduce(grey.transpose(_Transpose.TRANSPOSE) if mirrored else grey)
        for mirrored in {_STEPS[form][0] for form in forms}
    }
    found = {}
    for form in forms:
        mirrored, flip = _STEPS[form]
        small = reduced[mirrored] if flip is None else reduced[mirrored].transpose(flip)
        found[form] = Hashed(form, np.packbits(compute(small).hash).tobytes(), None)
    return found


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
        name: f"{package} {version(package)}, pillow {version('pillow')}"
        for name, package in (*dict.fromkeys(_IMAGE_HASHES, "imagehash").items(), ("pdq256", "pdqhash"))
    }
)
