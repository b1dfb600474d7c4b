from __future__ import annotations

import pytest

from nearhash_index.errors import InvalidInput
from nearhash_index.hash_types import HASH_TYPES, HashType, check_radius, hash_type_named

# Written out: these numbers lie in files and travel on the wire, and the radii are policy.
PUBLISHED = {
    "phash64": (1, 64, 8, True),
    "dhash64": (2, 64, 8, True),
    "ahash64": (3, 64, 4, True),
    "whash64": (4, 64, 4, True),
    "pdq256": (5, 256, 31, True),
    "md5": (6, 128, 0, False),
    "sha1": (7, 160, 0, False),
    "sha256": (8, 256, 0, False),
}


def test_numbers_widths_and_radii_are_the_published_ones() -> None:
    found = {name: (t.number, t.bits, t.default_radius, t.perceptual) for name, t in HASH_TYPES.items()}
    assert found == PUBLISHED
    assert all(hash_type.name == name for name, hash_type in HASH_TYPES.items())


@pytest.mark.parametrize(
    ("name", "size_bytes", "words"),
    [("phash64", 8, 1), ("md5", 16, 2), ("sha1", 20, 3), ("pdq256", 32, 4), ("sha256", 32, 4)],
)
def test_sizes_follow_from_the_bits(name: str, size_bytes: int, words: int) -> None:
    assert (HASH_TYPES[name].size_bytes, HASH_TYPES[name].words) == (size_bytes, words)


@pytest.mark.parametrize("name", HASH_TYPES)
def test_a_type_is_found_by_its_name(name: str) -> None:
    assert hash_type_named(name) is HASH_TYPES[name]


@pytest.mark.parametrize("name", ["", "PDQ256", "pdq", "phash64 "])
def test_an_unknown_name_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(InvalidInput, match=f"{name!r} is not a hash type; use one of phash64, .*, sha256$") as caught:
        hash_type_named(name, "line 3, hash_type")
    assert caught.value.field == "line 3, hash_type"


@pytest.mark.parametrize("hash_type", HASH_TYPES.values(), ids=HASH_TYPES)
def test_radii_run_from_zero_to_the_width(hash_type: HashType) -> None:
    for radius in (0, hash_type.default_radius, hash_type.bits):
        assert check_radius(hash_type, radius) == radius
    for radius in (-1, hash_type.bits + 1):
        with pytest.raises(InvalidInput, match=f"{radius} is out of range for {hash_type.name}; use 0 to") as caught:
            check_radius(hash_type, radius, "radii[0]")
        assert caught.value.field == "radii[0]"
