"""Images hashed per second on one core, beside ImageHash and pdqhash alone.

    python -m bench.hashing

All decode the same files, scikit-image's photographs as JPEG of half a megapixel to four.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Any

import imagehash
import numpy as np
import pdqhash
from bench.measure import rounds_us
from PIL import Image
from skimage import data

from nearhash_client.hashing import FORMS, compute

SIDES = {"0.5 megapixels": 724, "2 megapixels": 1448, "4 megapixels": 2048}


def files(side: int) -> list[bytes]:
    """Return photographs as JPEG files, with as many pixels as a square of that side."""
    made = []
    for photograph in (data.astronaut(), data.chelsea(), data.coffee(), data.rocket()):
        image = Image.fromarray(photograph)
        scale = side / (image.width * image.height) ** 0.5
        file = io.BytesIO()
        image.resize((round(image.width * scale), round(image.height * scale))).save(file, "JPEG", quality=85)
        made.append(file.getvalue())
    return made


def decode(file: bytes) -> Image.Image:
    return Image.open(io.BytesIO(file)).convert("RGB")


def pdq_alone(file: bytes) -> Any:
    return pdqhash.compute(np.asarray(decode(file)))


def phash_alone(file: bytes) -> Any:
    return imagehash.phash(Image.open(io.BytesIO(file)))


def both_alone(file: bytes) -> Any:
    return pdq_alone(file), phash_alone(file)


def pdq_of_eight(file: bytes) -> Any:
    image = decode(file)
    turned = [image, *(image.transpose(turn) for turn in Image.Transpose)]
    return [pdqhash.compute(np.asarray(each)) for each in turned]


PAIRS: dict[str, tuple[Callable[[bytes], Any], Callable[[bytes], Any]]] = {
    "phash64": (partial(compute, hash_types=["phash64"]), phash_alone),
    "pdq256": (partial(compute, hash_types=["pdq256"]), pdq_alone),
    "phash64 and pdq256": (compute, both_alone),
    "pdq256, eight forms": (partial(compute, hash_types=["pdq256"], forms=FORMS), pdq_of_eight),
    "as match_image": (
        partial(compute, hash_types=["md5", "sha1", "sha256", "pdq256", "phash64"], forms=FORMS, letterbox="both"),
        both_alone,
    ),
}


def on_all(run: Callable[[bytes], Any], images: list[bytes]) -> None:
    for file in images:
        run(file)


def main() -> None:
    print(f"{'':16} {'':22} {'images/s':>9} {'alone':>9} {'ratio':>6}")
    for size, side in SIDES.items():
        images = files(side)
        for name, pair in PAIRS.items():
            runs = {
                who: (partial(on_all, run, images), len(images))
                for who, run in zip(("ours", "alone"), pair, strict=True)
            }
            us = rounds_us(runs, rounds=3)
            print(
                f"{size:16} {name:22} {1e6 / us['ours']:9.1f} {1e6 / us['alone']:9.1f} {us['alone'] / us['ours']:6.2f}"
            )


if __name__ == "__main__":
    main()
