"""Hashes the golden images and compares with what the other implementations said."""

import json
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files

from PIL import features

from nearhash_client.hashing import compute

PDQ_TOLERANCE_BITS = 10
PDQ_MIN_QUALITY = 80
"""PDQ's authors: implementations and decoders may differ by up to 10 bits at a quality of 80 or more. Of images with
less they say nothing, so that these are shown, but not judged."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A golden image's hash, computed here and elsewhere.

    Attributes
    ----------
    image
        The file's name.
    hash_type
        A name from `HASH_TYPES`.
    authority
        Whose hash it is compared with: ``ImageHash``, ``pdqhash``, ``hashlib``, or ``reference``, which is PDQ by its
        published description in NumPy.
    distance
        In bits.
    quality
        PDQ's, computed here, 0 to 100; None for other types.
    """

    image: str
    hash_type: str
    authority: str
    distance: int
    quality: int | None

    @property
    def judged(self) -> bool:
        """Whether the hash is one that implementations agree on."""
        return self.quality is None or self.quality >= PDQ_MIN_QUALITY

    @property
    def differs(self) -> bool:
        """Whether the distance is more than it may be."""
        return self.judged and self.distance > (0 if self.quality is None else PDQ_TOLERANCE_BITS)


def compare() -> Iterator[Comparison]:
    """Yield a comparison for each golden image, hash type and authority.

    Raises
    ------
    ImageError
        If the decoders here cannot read an image.
    """
    folder = files(__package__) / "images"
    golden = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
    for image, hash_types in golden.items():
        content = (folder / image).read_bytes()
        for computed in compute(content, list(hash_types)):
            for authority, digits in hash_types[computed.hash_type].items():
                distance = (int(computed.hex, 16) ^ int(digits, 16)).bit_count()
                yield Comparison(image, computed.hash_type, authority, distance, computed.quality)


def decoder_versions() -> dict[str, str]:
    """Return the versions of everything that an image passes through on its way to a hash."""
    libraries = {name: features.version(name) or "none" for name in ("libjpeg_turbo", "zlib")}
    packages = ("Pillow", "ImageHash", "pdqhash", "numpy", "scipy", "PyWavelets")
    return (
        {"machine": f"{platform.system()} {platform.machine()}"}
        | libraries
        | {name: version(name) for name in packages}
    )
