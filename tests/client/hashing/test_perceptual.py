from importlib.metadata import version

import pytest
from PIL import Image

from nearhash_client import InvalidRequest
from nearhash_client.hashing import FORMS, ComputedHash, compute

from . import photographs
from .bits import distance

TURNED = {
    "original": None,
    "rotate90": Image.Transpose.ROTATE_90,
    "rotate180": Image.Transpose.ROTATE_180,
    "rotate270": Image.Transpose.ROTATE_270,
    "flip_vertical": Image.Transpose.FLIP_TOP_BOTTOM,
    "flip_horizontal": Image.Transpose.FLIP_LEFT_RIGHT,
    "transpose": Image.Transpose.TRANSPOSE,
    "transverse": Image.Transpose.TRANSVERSE,
}
SIXTY_FOUR_BITS = ("phash64", "dhash64", "ahash64", "whash64")


def turned(image: Image.Image) -> list[Image.Image]:
    return [image if turn is None else image.transpose(turn) for turn in TURNED.values()]


def load(name: str) -> Image.Image:
    with Image.open(photographs.FOLDER / name) as image:
        return image.convert("RGB")


def test_the_forms_are_the_eight_of_a_square():
    assert tuple(TURNED) == FORMS


@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png", "rocket.jpg", "camera.png", "hubble_deep_field.jpg"])
@pytest.mark.parametrize("hash_type", SIXTY_FOUR_BITS)
def test_each_form_of_64_bits_is_the_hash_of_the_picture_turned(name, hash_type):
    image = load(name)
    found = compute(image, [hash_type], forms=FORMS)
    assert [item.form for item in found] == list(FORMS)
    assert [item.value for item in found] == [compute(each, [hash_type])[0].value for each in turned(image)]


@pytest.mark.parametrize("name", ["astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "camera.png"])
def test_each_form_of_pdq_is_the_hash_of_the_picture_turned(name):
    check_pdq(load(name))


@pytest.mark.parametrize("name", ["retina.jpg", "hubble_deep_field.jpg"])
def test_each_form_of_pdq_is_the_hash_of_a_large_picture_turned(name):
    found = check_pdq(load(name).resize((1600, 1500)))
    # And each is that of no other form.
    for item in found:
        assert min(distance(item, other) for other in found if other is not item) > 60


def check_pdq(image: Image.Image) -> tuple[ComputedHash, ...]:
    found = compute(image, ["pdq256"], forms=FORMS)
    for item, each in zip(found, turned(image), strict=True):
        (own,) = compute(each, ["pdq256"])
        assert (item.value, item.quality) == (own.value, own.quality), item.form
    return found


def test_some_forms_are_given_alone():
    path = photographs.FOLDER / "chelsea.png"
    all_forms = {(item.hash_type, item.form): item for item in compute(path, forms=FORMS)}
    some = compute(path, forms=["rotate270", "original"])
    assert [(item.hash_type, item.form) for item in some] == [
        (hash_type, form) for hash_type in ("phash64", "pdq256") for form in ("original", "rotate270")
    ]
    assert list(some) == [all_forms[item.hash_type, item.form] for item in some]


def test_a_hash_tells_what_computed_it():
    phash, pdq, md5 = compute(photographs.FOLDER / "chelsea.png", ["phash64", "pdq256", "md5"])
    assert phash.hasher == f"imagehash {version('imagehash')}, pillow {version('pillow')}"
    assert pdq.hasher == (f"nearhash {version('nearhash')}, pdqhash {version('pdqhash')}, pillow {version('pillow')}")
    assert md5.hasher == ""


@pytest.mark.parametrize(
    ("forms", "told"),
    [
        (["original", "mirrored"], "found 'mirrored'; each is one of original, rotate90, "),
        ([], "found none; pass at least one of original, "),
        ("original", r"found the str 'original'; pass a sequence of names, \['original'\]"),
    ],
)
def test_forms_that_do_not_exist_are_refused(forms, told):
    with pytest.raises(InvalidRequest, match=f"^forms: {told}"):
        compute(photographs.FOLDER / "chelsea.png", forms=forms)
