import hashlib
import io
import threading

import imagehash
import pytest
from PIL import Image, ImageEnhance

from nearhash_client import InvalidRequest
from nearhash_client.hashing import ComputedHash, ImageError, Limits, compute

from . import photographs
from .bits import distance

ALL_TYPES = ("phash64", "dhash64", "ahash64", "whash64", "pdq256", "md5", "sha1", "sha256")

# Default radii of the index.
RADII = {"phash64": 8, "dhash64": 8, "ahash64": 4, "whash64": 4, "pdq256": 31}

# From pdq_from_file of threatexchange 1.2.17, the reference implementation's own package.
PDQ = {
    "astronaut.png": "2d6b1af3a956c529e79ca3d2526fa834d4196c81cedd04de0a26b855fc99b724",
    "camera.png": "dc9c9d3b746978f888f40ce6e5c3f70f7266623e8d989cb99f21f2010841e1c7",
    "chelsea.png": "5feb5321f01da156898e2bf629a5d3438412cdbd23f48942464526315db33ffd",
    "coffee.png": "8c629e779a663698b9a33866c026726c21a679f61eb6e1f8c79ba7e23c8299e0",
    "rocket.jpg": "8792786c87937064bf1bc0e43f1fc0e03f1cc2e33da4c2537cec821b2ce4f376",
    "hubble_deep_field.jpg": "1c6715e46266634f72d42df2324ad397e70e86be9c665c59a42ec19c3369b919",
    "retina.jpg": "83d22b5802d238191b87b1f8bf1ad487fc0f55f8405adc011fafa8f4ebfc2a59",
}


@pytest.mark.parametrize("name", photographs.ALL)
@pytest.mark.parametrize(
    ("hash_type", "reference"),
    [
        ("phash64", imagehash.phash),
        ("dhash64", imagehash.dhash),
        ("ahash64", imagehash.average_hash),
        ("whash64", imagehash.whash),
    ],
)
def test_the_64_bit_hashes_are_those_of_imagehash(name, hash_type, reference):
    path = photographs.FOLDER / name
    with Image.open(path) as image:
        expected = str(reference(image))
    assert compute(path, (hash_type,)) == (ComputedHash(hash_type, bytes.fromhex(expected), None),)


@pytest.mark.parametrize("name", photographs.ALL)
def test_pdq_is_that_of_the_reference_implementation(name):
    (pdq,) = compute(photographs.FOLDER / name, ("pdq256",))
    assert (pdq.hex, pdq.quality) == (PDQ[name], 100)


def test_pdq_of_a_flat_image_says_that_it_is_worth_nothing():
    (pdq,) = compute(Image.new("RGB", (64, 64), (200, 30, 30)), ("pdq256",))
    assert pdq.quality == 0


@pytest.mark.parametrize("name", photographs.ALL)
def test_digests_are_of_the_files_bytes(name):
    path = photographs.FOLDER / name
    data = path.read_bytes()
    expected = [hashlib.md5(data).hexdigest(), hashlib.sha256(data).hexdigest(), hashlib.sha1(data).hexdigest()]  # noqa: S324
    assert [computed.hex for computed in compute(path, ("md5", "sha256", "sha1"))] == expected


def test_digests_alone_take_any_file_of_any_size():
    video = b"no image" * 500_000
    limits = Limits(max_bytes=1, max_pixels=1)
    (digest,) = compute(io.BytesIO(video), ("sha256",), limits=limits)
    assert digest.value == hashlib.sha256(video).digest()


def test_all_types_together_are_each_as_alone_in_the_order_asked_for():
    path = photographs.FOLDER / "coffee.png"
    together = compute(path, ALL_TYPES[::-1])
    assert together == tuple(compute(path, (name,))[0] for name in ALL_TYPES[::-1])


def test_phash_and_pdq_unless_asked_otherwise():
    assert [computed.hash_type for computed in compute(photographs.FOLDER / "coffee.png")] == ["phash64", "pdq256"]


def alter(image: Image.Image) -> dict[str, Image.Image]:
    width, height = image.size
    compressed = io.BytesIO()
    image.save(compressed, "JPEG", quality=50)
    return {
        "compressed": Image.open(compressed),
        "half size": image.resize((width // 2, height // 2)),
        "brighter": ImageEnhance.Brightness(image).enhance(1.05),
    }


@pytest.mark.parametrize("name", photographs.COLOUR)
def test_altered_copies_stay_within_the_default_radii(name):
    with Image.open(photographs.FOLDER / name) as photograph:
        original = compute(photograph, tuple(RADII))
        for alteration, copy in alter(photograph).items():
            for before, after in zip(original, compute(copy, tuple(RADII)), strict=True):
                assert distance(before, after) <= RADII[before.hash_type], (alteration, before.hash_type)


def test_different_photographs_lie_outside_them():
    hashes = [compute(photographs.FOLDER / name) for name in photographs.ALL]
    for position, (phash, pdq) in enumerate(hashes):
        for other_phash, other_pdq in hashes[:position]:
            assert distance(phash, other_phash) > RADII["phash64"]
            assert distance(pdq, other_pdq) > RADII["pdq256"]


def test_many_threads_get_what_one_gets():
    paths = [photographs.FOLDER / name for name in photographs.ALL]
    expected = [compute(path) for path in paths]
    answers = {}

    def work(number: int) -> None:
        answers[number] = [compute(path) for path in paths]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == dict.fromkeys(range(4), expected)


def test_a_digest_of_an_image_without_a_file_is_refused():
    with pytest.raises(ImageError, match=r"^<image>: md5 is of a file's bytes; pass the path, the bytes or the file$"):
        compute(Image.new("RGB", (8, 8)), ("phash64", "md5"))


def test_an_unknown_type_is_refused_before_the_file_is_opened():
    with pytest.raises(InvalidRequest, match=r"^hash_type: found 'phash'; it is one of phash64, "):
        compute("no-such-file.jpg", ("phash",))


def test_one_name_is_no_sequence_of_names():
    with pytest.raises(InvalidRequest, match=r"^hash_types: found the str 'md5'; pass a sequence of names, \['md5'\]$"):
        compute(b"data", "md5")
