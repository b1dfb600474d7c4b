import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearhash_client import HASH_TYPES, InvalidRequest
from nearhash_client.packing import pack

PHASH, PDQ, SHA1 = HASH_TYPES["phash64"], HASH_TYPES["pdq256"], HASH_TYPES["sha1"]


@st.composite
def batches(draw):
    hash_type = draw(st.sampled_from(list(HASH_TYPES.values())))
    values = draw(st.lists(st.integers(0, 2**hash_type.width_bits - 1), min_size=1, max_size=6))
    return hash_type, values


def as_bytes(value, hash_type):
    return value.to_bytes(hash_type.width_bytes, "big")


def as_bits(value, hash_type):
    return np.array([digit == "1" for digit in f"{value:0{hash_type.width_bits}b}"])


def scalar_forms(value, hash_type):
    digits = f"{value:0{hash_type.width_bits // 4}x}"
    raw = as_bytes(value, hash_type)
    image_hash = imagehash.ImageHash(as_bits(value, hash_type).reshape(8, -1))
    column_major = imagehash.ImageHash(np.asfortranarray(image_hash.hash))
    forms = [value, digits, digits.upper(), raw, bytearray(raw), memoryview(raw), image_hash, column_major]
    return [*forms, np.uint64(value)] if hash_type.width_bits == 64 else forms


def array_forms(values, hash_type):
    octets = np.frombuffer(b"".join(as_bytes(value, hash_type) for value in values), np.uint8)
    octets = octets.reshape(len(values), hash_type.width_bytes)
    bits = np.stack([as_bits(value, hash_type) for value in values])
    yield from (octets, np.asfortranarray(octets), bits, np.repeat(bits, 2, axis=0)[::2])
    if hash_type.width_bits % 64 == 0:
        mask = 2**64 - 1
        shifts = range(hash_type.width_bits - 64, -1, -64)
        words = np.array([[value >> shift & mask for shift in shifts] for value in values], np.uint64)
        yield from (words, np.asfortranarray(words), words.astype(">u8"))
        if hash_type.width_bits == 64:
            yield words[:, 0]


@settings(deadline=None)
@given(batches())
def test_every_array_form_of_a_batch_gives_the_same_bytes(batch):
    hash_type, values = batch
    expected = b"".join(as_bytes(value, hash_type) for value in values)
    for array in array_forms(values, hash_type):
        assert pack(array, hash_type) == expected


@settings(deadline=None)
@given(batches(), st.data())
def test_every_mix_of_scalars_gives_the_same_bytes(batch, data):
    hash_type, values = batch
    mixed = [data.draw(st.sampled_from(scalar_forms(value, hash_type))) for value in values]
    expected = b"".join(as_bytes(value, hash_type) for value in values)
    assert pack(mixed, hash_type) == expected
    assert pack(iter(mixed), hash_type) == expected


@given(st.integers(0, 2**64 - 1))
def test_bytes_are_as_the_hex_digits_of_imagehash_read(value):
    image_hash = imagehash.hex_to_hash(f"{value:016x}")
    assert pack([image_hash], PHASH).hex() == str(image_hash) == f"{value:016x}"


def test_the_first_word_holds_the_most_significant_bits():
    assert pack(np.array([[1, 2, 3, 4]], np.uint64), PDQ).hex() == "".join(f"{word:016x}" for word in (1, 2, 3, 4))


@pytest.mark.parametrize(
    ("value", "hash_type", "description"),
    [
        ("abc", PHASH, "found 3 characters; phash64 has 16 hex digits"),
        ("0x0123456789abcdef", PHASH, "found 18 characters; phash64 has 16 hex digits"),
        ("0123456789abcdeg", PHASH, "found characters that are no hex digits"),
        ("01 3456789abcde ", PHASH, "found characters that are no hex digits"),
        ("0123456789abcde\u0664", PHASH, "found characters that are no hex digits"),
        (bytes(7), PHASH, "found 7 bytes; phash64 has 8"),
        (bytes(8), PDQ, "found 8 bytes; pdq256 has 32"),
        (-1, PHASH, r"found a negative int; add 2\*\*64 if it was read as a signed phash64"),
        (2**64, PHASH, "found an int of 65 bits; phash64 has at most 64"),
        (True, PHASH, "found bool; pass an int, hex digits, bytes or an ImageHash"),
        (1.0, PHASH, "found float; pass an int"),
        (None, PHASH, "found NoneType; pass an int"),
        ([1], PHASH, "found list; pass an int"),
        (np.zeros(8, np.uint8), PHASH, r"found uint8\[8\]; pass an int"),
        (np.zeros(1, np.uint64), PHASH, r"found uint64\[1\]; pass an int"),
        (np.float64(1), PHASH, "found float64; pass an int"),
        (imagehash.ImageHash(np.zeros((16, 16), bool)), PHASH, "found an ImageHash of 256 bits; phash64 has 64"),
        (imagehash.ImageHash(np.zeros((8, 8), np.uint8)), PHASH, "found ImageHash; pass an int"),
    ],
)
def test_a_wrong_hash_is_named_by_its_position(value, hash_type, description):
    good = bytes(hash_type.width_bytes)
    with pytest.raises(InvalidRequest, match=rf"^hashes\[2\]: {description}") as caught:
        pack([good, good, value], hash_type)
    (violation,) = caught.value.violations
    assert str(caught.value) == f"hashes[2]: {violation.description}"
    assert violation.field == "hashes[2]"


@pytest.mark.parametrize(
    ("array", "hash_type", "description"),
    [
        (np.zeros(3, np.int64), PHASH, r"found int64\[3\]; phash64 takes uint64\[n\], uint8\[n, 8\], bool\[n, 64\]"),
        (
            np.zeros(3, np.uint64),
            PDQ,
            r"found uint64\[3\]; pdq256 takes uint64\[n, 4\], uint8\[n, 32\], bool\[n, 256\]",
        ),
        (np.zeros((3, 2), np.uint64), SHA1, r"found uint64\[3, 2\]; sha1 takes uint8\[n, 20\], bool\[n, 160\]"),
        (np.zeros((3, 3), np.uint64), SHA1, r"found uint64\[3, 3\]; sha1 takes uint8"),
        (np.zeros(8, np.uint8), PHASH, r"found uint8\[8\]; phash64 takes"),
        (np.zeros((2, 8, 8), bool), PHASH, r"found bool\[2, 8, 8\]; phash64 takes"),
        (np.zeros((2, 64)), PHASH, r"found float64\[2, 64\]; phash64 takes"),
        (np.zeros(0, np.uint64), PHASH, "found none; pass at least one hash"),
        (np.zeros((0, 64), bool), PHASH, "found none; pass at least one hash"),
        ([], PHASH, "found none; pass at least one hash"),
        ("0123456789abcdef", PHASH, r"found one str; pass a sequence, for one hash \[hash\]"),
        (bytes(8), PHASH, "found one bytes; pass a sequence"),
        (7, PHASH, "found one int; pass a sequence"),
        (np.uint64(7), PHASH, "found one uint64; pass a sequence"),
        (imagehash.ImageHash(np.zeros((8, 8), bool)), PHASH, "found one ImageHash; pass a sequence"),
    ],
)
def test_a_wrong_batch_is_told_what_would_be_right(array, hash_type, description):
    with pytest.raises(InvalidRequest, match=f"^hashes: {description}"):
        pack(array, hash_type)


def test_errors_repeat_no_hash():
    with pytest.raises(InvalidRequest) as caught:
        pack(["c2924c5532bddfcZ"], PHASH)
    assert "c2924c" not in str(caught.value)
