from __future__ import annotations

from pathlib import Path

import imagehash
import numpy as np
import pdqhash
import pytest
import skimage
from PIL import Image

from nearhash_index.codes import codes_from_bytes, codes_from_hex
from nearhash_index.degenerate import degenerate_reason, degenerate_rows
from nearhash_index.hash_types import HASH_TYPES, HashType

from .samples import DIGESTS, PERCEPTUAL

PHOTOGRAPHS = Path(skimage.__file__).parent / "data"
PHOTOGRAPH_NAMES = (
    "astronaut.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "hubble_deep_field.jpg",
    "retina.jpg",
    "rocket.jpg",
)
HASHERS = {
    "phash64": imagehash.phash,
    "dhash64": imagehash.dhash,
    "ahash64": imagehash.average_hash,
    "whash64": imagehash.whash,
}


def hash_with(hash_type: HashType, image: Image.Image) -> bytes:
    if hash_type.name == "pdq256":
        bits, _ = pdqhash.compute(np.array(image.convert("RGB")))
        return np.packbits(bits).tobytes()
    return bytes.fromhex(str(HASHERS[hash_type.name](image)))


def is_degenerate(value: bytes, hash_type: HashType) -> bool:
    return degenerate_rows(codes_from_bytes(value, hash_type), hash_type).tolist() == [0]


def of_bits(count: int, hash_type: HashType) -> bytes:
    """Return a hash with so many bits set, spread so that neither its rows nor its columns are equal."""
    bits = np.zeros(hash_type.bits, np.uint8)
    bits[np.random.default_rng(7).permutation(hash_type.bits)[:count]] = 1
    return np.packbits(bits).tobytes()


TYPES = pytest.mark.parametrize("hash_type", PERCEPTUAL, ids=lambda hash_type: hash_type.name)


@pytest.mark.parametrize("digits", ["8000000000000000", "0000000000000000", "ffffffffffffffff", "0000000000000001"])
def test_known_hashes_of_flat_images(digits: str) -> None:
    assert is_degenerate(bytes.fromhex(digits), HASH_TYPES["phash64"])


@pytest.mark.parametrize("name", HASHERS)
@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 30, 30)], ids=str)
def test_flat_images_are_degenerate_in_every_64_bit_hash(name: str, colour: tuple[int, int, int]) -> None:
    hash_type = HASH_TYPES[name]
    assert is_degenerate(hash_with(hash_type, Image.new("RGB", (300, 200), colour)), hash_type)


@pytest.mark.parametrize("name", ["dhash64", "ahash64"])
@pytest.mark.parametrize("upright", [False, True])
def test_two_tone_images_are_degenerate(name: str, upright: bool) -> None:
    pixels = np.zeros((256, 256), np.uint8)
    pixels[:128] = 255
    image = Image.fromarray(pixels.T.copy() if upright else pixels)
    assert is_degenerate(hash_with(HASH_TYPES[name], image), HASH_TYPES[name])


@TYPES
@pytest.mark.parametrize("name", PHOTOGRAPH_NAMES)
def test_photographs_are_not(name: str, hash_type: HashType) -> None:
    with Image.open(PHOTOGRAPHS / name) as image:
        assert not is_degenerate(hash_with(hash_type, image), hash_type)


@TYPES
def test_hashes_with_at_most_a_16th_of_the_bits_set_or_clear_are(hash_type: HashType) -> None:
    few = hash_type.bits // 16
    for count in (0, 1, few, hash_type.bits - few, hash_type.bits - 1, hash_type.bits):
        assert is_degenerate(of_bits(count, hash_type), hash_type), count
    for count in (few + 1, hash_type.bits // 2, hash_type.bits - few - 1):
        assert not is_degenerate(of_bits(count, hash_type), hash_type), count


@TYPES
def test_bars_are_degenerate_in_either_direction_until_one_bit_breaks_them(hash_type: HashType) -> None:
    side = int(hash_type.bits**0.5)
    rng = np.random.default_rng(3)
    for _ in range(20):
        stripe = rng.permutation([0, 1] * (side // 2)).astype(np.uint8)
        upright = np.tile(stripe, (side, 1))
        for bars in (upright, upright.T):
            assert is_degenerate(np.packbits(bars).tobytes(), hash_type)
            broken = bars.copy()
            broken[rng.integers(side), rng.integers(side)] ^= 1
            assert not is_degenerate(np.packbits(broken).tobytes(), hash_type)


@TYPES
def test_letterboxed_images_are(hash_type: HashType) -> None:
    side = int(hash_type.bits**0.5)
    for bar in range(1, side // 2):
        picture = np.zeros((side, side), np.uint8)
        picture[bar : side - bar] = 1
        for box in (picture, picture.T, 1 - picture):
            assert is_degenerate(np.packbits(box).tobytes(), hash_type)


@pytest.mark.parametrize("hash_type", DIGESTS, ids=lambda hash_type: hash_type.name)
@pytest.mark.parametrize("byte", [0x00, 0xFF, 0xF0, 0x01])
def test_digests_never_are(hash_type: HashType, byte: int) -> None:
    assert not is_degenerate(bytes([byte]) * hash_type.size_bytes, hash_type)


def test_every_degenerate_row_is_told_in_order() -> None:
    good, flat = "f0e1d2c3b4a59687", "8000000000000000"
    codes = codes_from_hex([flat, good, good, "ff" * 8, flat, good], HASH_TYPES["phash64"])
    assert degenerate_rows(codes, HASH_TYPES["phash64"]).tolist() == [0, 3, 4]


@TYPES
def test_no_hashes_hold_no_degenerate_ones(hash_type: HashType) -> None:
    assert degenerate_rows(codes_from_bytes(b"", hash_type), hash_type).tolist() == []


def test_the_reason_names_the_type() -> None:
    assert degenerate_reason(HASH_TYPES["pdq256"]).startswith("this pdq256 hash says too little about its image")
