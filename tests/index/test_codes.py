from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearhash_index.codes import check_codes, codes_from_bytes, codes_from_hex, codes_to_bytes, hex_to_hash
from nearhash_index.errors import InvalidInput
from nearhash_index.hash_types import HASH_TYPES, HashType

ALL_TYPES = pytest.mark.parametrize("hash_type", HASH_TYPES.values(), ids=HASH_TYPES)


def hashes_of(hash_type: HashType) -> st.SearchStrategy[list[bytes]]:
    return st.lists(st.binary(min_size=hash_type.size_bytes, max_size=hash_type.size_bytes), max_size=5)


@ALL_TYPES
@given(data=st.data())
def test_bytes_become_codes_and_back(hash_type: HashType, data: st.DataObject) -> None:
    hashes = data.draw(hashes_of(hash_type))
    codes = codes_from_bytes(b"".join(hashes), hash_type)
    assert codes.shape == (len(hashes), hash_type.words)
    assert codes.dtype == np.uint64
    assert codes.flags.c_contiguous
    assert codes_to_bytes(codes, hash_type) == b"".join(hashes)


@ALL_TYPES
@given(data=st.data())
def test_hexadecimal_becomes_codes_in_either_case(hash_type: HashType, data: st.DataObject) -> None:
    hashes = data.draw(hashes_of(hash_type))
    expected = codes_from_bytes(b"".join(hashes), hash_type)
    for texts in ([h.hex() for h in hashes], [h.hex().upper() for h in hashes], [h.hex().title() for h in hashes]):
        np.testing.assert_array_equal(codes_from_hex(texts, hash_type), expected)


@ALL_TYPES
@given(data=st.data())
def test_the_distance_of_codes_is_that_of_the_hashes(hash_type: HashType, data: st.DataObject) -> None:
    exactly = st.binary(min_size=hash_type.size_bytes, max_size=hash_type.size_bytes)
    first, second = data.draw(exactly), data.draw(exactly)
    one, other = codes_from_bytes(first + second, hash_type)
    expected = (int.from_bytes(first) ^ int.from_bytes(second)).bit_count()
    assert np.bitwise_count(one ^ other).sum() == expected


@pytest.mark.parametrize(
    ("name", "digits", "words"),
    [
        ("phash64", "0123456789abcdef", [0x0123456789ABCDEF]),
        ("md5", "0123456789abcdeffedcba9876543210", [0x0123456789ABCDEF, 0xFEDCBA9876543210]),
        ("sha1", "00" * 15 + "0000000001", [0, 0, 1 << 32]),
        ("pdq256", "00" * 31 + "01", [0, 0, 0, 1]),
    ],
)
def test_words_read_like_the_hexadecimal_digits(name: str, digits: str, words: list[int]) -> None:
    assert codes_from_hex([digits], HASH_TYPES[name]).tolist() == [words]


def test_a_memoryview_will_do() -> None:
    assert codes_from_bytes(memoryview(bytearray(b"\0" * 7 + b"\1")), HASH_TYPES["dhash64"]).tolist() == [[1]]


@ALL_TYPES
@pytest.mark.parametrize("off", [-1, 1])
def test_bytes_that_are_no_whole_number_of_hashes_are_refused(hash_type: HashType, off: int) -> None:
    size_bytes = 3 * hash_type.size_bytes + off
    message = f"{size_bytes} bytes are no whole number of {hash_type.name} hashes, which have {hash_type.size_bytes}"
    with pytest.raises(InvalidInput, match=message) as caught:
        codes_from_bytes(bytes(size_bytes), hash_type, "request.hashes")
    assert caught.value.field == "request.hashes"


@ALL_TYPES
@pytest.mark.parametrize("off", [-2, -1, 1, 2])
def test_a_hash_with_too_few_or_too_many_digits_is_refused_by_position(hash_type: HashType, off: int) -> None:
    digits = hash_type.size_bytes * 2
    with pytest.raises(
        InvalidInput, match=f"{digits + off} characters; a {hash_type.name} hash has {digits}"
    ) as caught:
        codes_from_hex(["a" * digits, "a" * (digits + off)], hash_type)
    assert caught.value.field == "hashes[1]"


@pytest.mark.parametrize(
    "text",
    [
        "0123 456789abcde",
        " 0123456789abcde",
        "01 23 45 67 89ab",
        "0x23456789abcdef",
        "0123456789abcdeg",
        "0123456789abcde\n",
        "\N{FULLWIDTH DIGIT ONE}123456789abcdef",
        "0123_56789abcdef",
        "-123456789abcdef",
    ],
)
def test_anything_but_hexadecimal_digits_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="not hexadecimal; a phash64 hash has 16 digits of 0-9 and a-f") as caught:
        hex_to_hash(text, HASH_TYPES["phash64"], "line 7, hash")
    assert caught.value.field == "line 7, hash"


def test_check_codes_makes_contiguous_what_is_not() -> None:
    strided = np.arange(12, dtype=np.uint64).reshape(6, 2)[::2]
    checked = check_codes(strided, "queries", 2)
    assert checked.flags.c_contiguous
    np.testing.assert_array_equal(checked, strided)


@pytest.mark.parametrize(
    ("codes", "problem"),
    [
        (np.zeros(3, np.uint64), "uint64[3]; use uint64[n, words]"),
        (np.zeros((3, 1), np.int64), "int64[3, 1]; use uint64[n, words]"),
        (np.zeros((3, 5), np.uint64), "uint64[3, 5]; use uint64[n, words] with 1 to 4 words"),
        (np.zeros((3, 0), np.uint64), "uint64[3, 0]; use uint64[n, words] with 1 to 4 words"),
        (np.zeros((3, 2), np.uint64), "codes of 2 words; this index holds codes of 4"),
    ],
)
def test_check_codes_refuses_other_shapes(codes: np.ndarray, problem: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(problem)) as caught:
        check_codes(codes, "queries", 4)
    assert caught.value.field == "queries"
