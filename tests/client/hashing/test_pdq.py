"""Every form of PDQ beside the authors' implementation of the picture that was turned."""

import numpy as np
import pdqhash
import pytest
from PIL import Image

from nearhash_client.hashing import FORMS, pdq
from nearhash_client.hashing.pdq import pdq as pdq_of

from ...demo.photographs import generated, photographs
from .test_perceptual import turned

# Even windows and odd, of one pixel and more, squares and strips, as small as PDQ goes and smaller.
SIZES = [
    (4, 90),
    (5, 5),
    (6, 300),
    (300, 6),
    (63, 64),
    (64, 64),
    (65, 130),
    (127, 128),
    (128, 129),
    (129, 255),
    (256, 256),
]
SIZES += [(257, 383), (384, 385), (512, 512), (511, 700), (1000, 7), (770, 1025)]


def by_library(image: Image.Image) -> dict[str, tuple[bytes, int]]:
    hashes = {}
    for form, each in zip(FORMS, turned(image), strict=True):
        bits, quality = pdqhash.compute(np.asarray(each))
        hashes[form] = np.packbits(bits.astype(bool)).tobytes(), quality
    return hashes


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_each_form_is_to_the_bit_what_the_library_says_of_the_picture_turned(size):
    for name, photograph in list(photographs())[::3]:
        image = photograph.resize(size)
        assert pdq_of(np.asarray(image), FORMS) == by_library(image), name


def test_pictures_whose_bits_hang_on_rounding_are_as_the_library_says():
    ((_, scene),) = generated(1, seed=3)
    grey = scene.convert("L").convert("RGB").resize((200, 150))
    half = grey.crop((0, 0, 100, 150))
    symmetric = Image.new("RGB", (200, 150))
    symmetric.paste(half, (0, 0))
    symmetric.paste(half.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (100, 0))
    stripes = Image.fromarray(np.broadcast_to(np.asarray(grey)[:1], (150, 200, 3)).copy())
    for image in (
        symmetric,
        stripes,
        Image.new("RGB", (200, 150), (90, 90, 90)),
        Image.linear_gradient("L").convert("RGB"),
    ):
        assert pdq_of(np.asarray(image), FORMS) == by_library(image)


def test_one_pass_is_enough_for_nearly_all_pictures(monkeypatch):
    asked = []
    monkeypatch.setattr(pdq, "_hash_by_library", lambda _, form: asked.append(form))
    pictures = [image for _, image in (*photographs(), *generated(12, seed=4))]
    for image in pictures:
        pdq_of(np.asarray(image), FORMS)
    assert len(asked) <= 0.05 * len(pictures) * len(FORMS)
