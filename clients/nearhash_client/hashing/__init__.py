"""Hashes of image files, for looking them up.

>>> from nearhash_client.hashing import compute
>>> phash, pdq = compute("photo.jpg", ("phash64", "pdq256"))  # doctest: +SKIP

Needs Pillow, ImageHash and pdqhash: ``pip install 'nearhash[images]'``.
"""

try:
    from .computing import ComputedHash, compute
    from .decoding import Limits
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"nearhash_client.hashing needs {missing.name}; install it with: pip install 'nearhash[images]'",
        name=missing.name,
    ) from missing
from .errors import ImageError, ImageTooLarge, NotAnImage, TruncatedImage

__all__ = [
    "ComputedHash",
    "ImageError",
    "ImageTooLarge",
    "Limits",
    "NotAnImage",
    "TruncatedImage",
    "compute",
]
