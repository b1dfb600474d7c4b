"""Hashes of image files, for looking them up.

>>> from nearhash_client.hashing import compute
>>> phash, pdq = compute("photo.jpg", ("phash64", "pdq256"))  # doctest: +SKIP

Needs Pillow, ImageHash, pdqhash and Pebble: ``pip install 'nearhash[images]'``. Videos are hashed by
`nearhash_client.hashing.video`, which needs PyAV besides: ``pip install 'nearhash[images,video]'``.
"""

try:
    from .computing import ComputedHash, compute
    from .forms import FORMS
    from .frames import Frame
    from .limits import Limits
    from .pool import HashingPool
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"nearhash_client.hashing needs {missing.name}; install it with: pip install 'nearhash[images]'",
        name=missing.name,
    ) from missing
from .errors import ImageError, ImageTooLarge, ImageTooSlow, NotAnImage, TruncatedImage

__all__ = [
    "FORMS",
    "ComputedHash",
    "Frame",
    "HashingPool",
    "ImageError",
    "ImageTooLarge",
    "ImageTooSlow",
    "Limits",
    "NotAnImage",
    "TruncatedImage",
    "compute",
]
