import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from nearhash_client import InvalidRequest
from nearhash_client.hashing import compute
from nearhash_client.hashing.letterbox import content_box

from . import photographs
from .bits import distance

# Without bars of their own: retina.jpg is a disc on black.
NAMES = ("chelsea.png", "coffee.png", "rocket.jpg")
BARS = {
    "above and below": (0, 60, 0, 60),
    "beside": (70, 0, 70, 0),
    "around": (40, 30, 50, 20),
    "above": (0, 45, 0, 0),
    "right": (0, 0, 45, 0),
}
COLOURS = {"black": (0, 0, 0), "white": (255, 255, 255), "pink": (200, 30, 90)}


def load(name: str) -> Image.Image:
    with Image.open(photographs.FOLDER / name) as image:
        return image.convert("RGB")


def as_jpeg(image: Image.Image, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_a_photograph_without_bars_is_left_whole(name):
    image = load(name)
    assert content_box(image) is None
    assert compute(image, letterbox="remove") == compute(image)
    assert compute(image, letterbox="both") == compute(image)


@pytest.mark.parametrize("colour", COLOURS.values(), ids=COLOURS)
@pytest.mark.parametrize("border", BARS.values(), ids=BARS)
@pytest.mark.parametrize("name", NAMES)
def test_bars_are_found_to_the_pixel(name, border, colour):
    image = load(name)
    left, top, _, _ = border
    barred = ImageOps.expand(image, border, fill=colour)
    assert content_box(barred) == (left, top, left + image.width, top + image.height)
    whole, within = (compute(barred, letterbox=how) for how in ("keep", "remove"))
    assert within == compute(image)
    assert within[0].frame.cropped == (left, top, left + image.width, top + image.height)
    assert whole[0].frame.cropped is None
    assert compute(barred, letterbox="both") == (whole[0], within[0], whole[1], within[1])


@pytest.mark.parametrize("quality", [20, 75])
@pytest.mark.parametrize("colour", COLOURS.values(), ids=COLOURS)
@pytest.mark.parametrize("name", NAMES)
def test_bars_are_found_in_a_compressed_copy(name, colour, quality):
    image = load(name)
    barred = as_jpeg(ImageOps.expand(image, BARS["above and below"], fill=colour), quality)
    (original,) = compute(image, ["pdq256"])
    whole, within = compute(barred, ["pdq256"], letterbox="both")
    assert within.frame.cropped == pytest.approx((0, 60, image.width, 60 + image.height), abs=6)
    assert distance(original, within) <= 31
    assert distance(original, whole) > 31


def test_each_side_has_a_colour_of_its_own():
    image = load("coffee.png")
    barred = ImageOps.expand(ImageOps.expand(image, (0, 50, 0, 0), fill=COLOURS["pink"]), (0, 0, 0, 30), fill="white")
    assert content_box(barred) == (0, 50, image.width, 50 + image.height)


@pytest.mark.parametrize("thickness", [1, 3])
def test_a_thin_edge_is_no_bar(thickness):
    image = load("astronaut.png")
    assert content_box(ImageOps.expand(image, thickness, fill="black")) is None


@pytest.mark.parametrize("colour", COLOURS.values(), ids=COLOURS)
def test_a_flat_picture_is_left_whole(colour):
    flat = Image.new("RGB", (300, 200), colour)
    assert content_box(flat) is None
    # So is one with something small on it.
    flat.paste((90, 90, 90), (140, 90, 160, 110))
    assert content_box(flat) is None


def test_noise_is_no_bar():
    rng = np.random.default_rng(1)
    noise = Image.fromarray(rng.integers(0, 256, (200, 300, 3), dtype=np.uint8))
    assert content_box(noise) is None


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 2)])
def test_the_smallest_pictures_have_no_bars(size):
    assert content_box(Image.new("RGB", size)) is None


def test_another_treatment_is_refused():
    with pytest.raises(InvalidRequest, match=r"^letterbox: found 'crop'; it is one of keep, remove, both$"):
        compute("no-such-file.png", letterbox="crop")
