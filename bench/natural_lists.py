"""Lists of hashes of natural-looking images, extended to any size, kept in bench/results."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor

import imagehash
import numpy as np
import pdqhash
from bench.measure import RESULTS
from bench.natural_images import image

from nearhash_index.codes import Codes

IMAGES = 20_000
_PER_TASK = 500


def natural(rng: np.random.Generator, n: int, words: int) -> Codes:
    """Return n codes: hashes of images (ImageHash's phash for one word, PDQ for four), with bits swapped.

    Both hashes compare coefficients with their median, so that as many bits are set as clear, and a bit that rises
    comes with one that falls. Hence pairs of bits are swapped: none to 10 pairs of 64 bits, to 40 of 256.
    """
    codes = _hashes()[words][rng.integers(0, IMAGES, n)]
    for first in range(0, n, 1 << 16):
        part = codes[first : first + (1 << 16)]
        bits = np.unpackbits(part.view(np.uint8), axis=1)
        pairs = rng.integers(0, 10 * words + 1, len(part))
        order = np.where(bits == 1, rng.random(bits.shape), 2)
        falling = np.argsort(np.argsort(order, axis=1), axis=1) < pairs[:, None]
        order = np.where(bits == 0, rng.random(bits.shape), 2)
        rising = np.argsort(np.argsort(order, axis=1), axis=1) < pairs[:, None]
        codes[first : first + (1 << 16)] = np.packbits(bits ^ falling ^ rising, axis=1).view(np.uint64)
    return codes


def _hashes() -> dict[int, Codes]:
    path = RESULTS / "natural_hashes.npz"
    if not path.exists():
        print(f"hashing {IMAGES} images, once")
        RESULTS.mkdir(exist_ok=True)
        with ProcessPoolExecutor() as pool:
            parts = list(pool.map(_hash_some, range(IMAGES // _PER_TASK)))
        np.savez(path, phash=np.concatenate([p for p, _ in parts]), pdq=np.concatenate([q for _, q in parts]))
    with np.load(path) as stored:
        return {1: stored["phash"], 4: stored["pdq"]}


def _hash_some(seed: int) -> tuple[Codes, Codes]:
    rng = np.random.default_rng(seed)
    images = [image(rng) for _ in range(_PER_TASK)]
    phash = [np.packbits(imagehash.phash(picture).hash.ravel()) for picture in images]
    pdq = [np.packbits(pdqhash.compute(np.asarray(picture.convert("RGB")))[0]) for picture in images]
    return np.stack(phash).view(np.uint64), np.stack(pdq).view(np.uint64)
