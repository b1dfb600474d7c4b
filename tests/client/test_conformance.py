"""The golden images: what they were made from, and that this machine agrees."""

from __future__ import annotations

import io
import json

import numpy as np
import pdqhash
import pytest
from PIL import Image

from nearhash_client import conformance
from nearhash_client.conformance import Comparison, compare, decoder_versions

from ..demo.photographs import photographs
from ..golden.__main__ import FOLDER, expected
from ..golden.images import golden_images
from ..golden.pdq_reference import pdq

GOLDEN = json.loads((FOLDER / "golden.json").read_text())


def test_this_machine_agrees_with_every_authority():
    comparisons = list(compare())
    assert [each for each in comparisons if each.differs] == []
    assert {each.image for each in comparisons} == set(GOLDEN)
    assert {each.authority for each in comparisons} == {"ImageHash", "pdqhash", "reference", "hashlib"}
    assert len({each.hash_type for each in comparisons}) == 8
    judged = [each for each in comparisons if each.judged and each.hash_type == "pdq256"]
    assert len({each.image for each in judged}) >= 15


def test_the_golden_hashes_are_those_of_the_pixels_that_the_files_were_made_from():
    made = {name: (content, pixels) for name, content, pixels in golden_images()}
    assert made.keys() == GOLDEN.keys()
    for name, (_, pixels) in made.items():
        # Encoders change from version to version; the files that are kept are what was hashed then.
        kept = (FOLDER / name).read_bytes()
        if name.endswith(".png"):
            assert expected(kept, pixels) == GOLDEN[name], name
        assert len(kept) < 8000


def test_the_set_holds_what_decoders_differ_in():
    images = [Image.open(io.BytesIO((FOLDER / name).read_bytes())) for name in GOLDEN]
    assert {"RGB", "RGBA", "L", "P", "1", "I;16", "CMYK"} <= {image.mode for image in images}
    assert {3, 6, 7, 8} <= {image.getexif().get(0x0112) for image in images}
    assert (1, 1) in {image.size for image in images}


@pytest.mark.parametrize("size", [(64, 64), (200, 133), (129, 640)])
def test_the_reference_of_pdq_is_another_implementation_with_the_same_hashes(size):
    for _, image in photographs():
        pixels = np.asarray(image.resize(size))
        bits, quality = pdqhash.compute(pixels)
        digits, reference_quality = pdq(pixels)
        assert (int.from_bytes(digits) ^ int(np.packbits(bits.astype(bool)).tobytes().hex(), 16)).bit_count() <= 2
        assert reference_quality == quality


@pytest.mark.parametrize(
    ("hash_type", "distance", "quality", "differs"),
    [
        ("phash64", 0, None, False),
        ("phash64", 1, None, True),
        ("pdq256", 10, 80, False),
        ("pdq256", 11, 80, True),
        ("pdq256", 128, 79, False),
    ],
)
def test_what_counts_as_a_difference(hash_type, distance, quality, differs):
    assert Comparison("a.png", hash_type, "ImageHash", distance, quality).differs == differs


def test_a_decoder_that_makes_other_pixels_is_noticed(monkeypatch):
    compute = conformance.comparing.compute

    def upside_down(content: bytes, hash_types: list[str]):
        file = io.BytesIO()
        image = Image.open(io.BytesIO(content)).convert("RGB")
        image.transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(file, "PNG")
        return compute(file.getvalue(), hash_types)

    monkeypatch.setattr(conformance.comparing, "compute", upside_down)
    differing = {each.hash_type for each in compare() if each.differs}
    assert differing == {"phash64", "dhash64", "ahash64", "whash64", "pdq256", "md5", "sha1", "sha256"}


def test_versions_are_told_of_all_that_an_image_passes_through():
    versions = decoder_versions()
    assert {"Pillow", "libjpeg_turbo", "ImageHash", "pdqhash", "numpy"} <= versions.keys()
    assert all(versions.values())
