"""Writes the golden images and their hashes into the package: python -m tests.golden."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import imagehash
import numpy as np
import pdqhash
from PIL import Image

from nearhash_client import conformance

from .images import Pixels, golden_images
from .pdq_reference import pdq

FOLDER = Path(conformance.__file__).parent / "images"
_IMAGE_HASHES = {
    "phash64": imagehash.phash,
    "dhash64": imagehash.dhash,
    "ahash64": imagehash.average_hash,
    "whash64": imagehash.whash,
}


def expected(content: bytes, pixels: Pixels) -> dict[str, dict[str, object]]:
    """Return what each authority says of an image, by hash type."""
    image = Image.fromarray(pixels)
    bits, _ = pdqhash.compute(pixels)
    reference, _ = pdq(pixels)
    return {
        **{name: {"ImageHash": str(function(image))} for name, function in _IMAGE_HASHES.items()},
        "pdq256": {
            "pdqhash": np.packbits(bits.astype(bool)).tobytes().hex(),
            "reference": reference.hex(),
        },
        **{name: {"hashlib": hashlib.new(name, content).hexdigest()} for name in ("md5", "sha1", "sha256")},
    }


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    golden = {}
    for name, content, pixels in golden_images():
        (FOLDER / name).write_bytes(content)
        golden[name] = expected(content, pixels)
    (FOLDER / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
