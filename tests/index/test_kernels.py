from __future__ import annotations

import re

import numpy as np
import pytest

from nearhash_index import Index, kernels

from .cases import random_codes


def assembly(kernel: object) -> str:
    return "\n".join(kernel.inspect_asm().values())  # type: ignore[attr-defined]


@pytest.mark.parametrize("kernel", [kernels.may_match, kernels.has_match])
def test_kernels_count_bits_in_vector_registers(kernel: object) -> None:
    rng = np.random.default_rng(1)
    for words in (1, 4):
        codes = random_codes(rng, 5000, words)
        for radius in (8, 31, 64):
            Index.build(codes).search(codes[:2], radius)
    text = assembly(kernel)
    # AVX-512: one instruction for the count. AVX2: a table look-up by nibble.
    assert re.search(r"vpopcnt[wq]\s.*[yz]mm|vpshufb\s.*ymm", text)
    # A popcount of a general register would be a scalar loop over the whole block; it may only finish a block.
    vector = len(re.findall(r"vpopcnt[wq]\s|vpshufb\s", text))
    assert vector >= 4
    assert not re.search(r"vp?gather", text)


def test_a_full_output_asks_for_more_room() -> None:
    codes = np.zeros((5000, 1), np.uint64)
    matches = Index.build(codes).search(codes[:3], 0)
    assert len(matches) == 15_000
    assert matches.row[:5000].tolist() == list(range(5000))


def test_codes_that_resemble_the_query_are_answered_when_the_filter_is_given_up() -> None:
    rng = np.random.default_rng(2)
    codes = np.full((200_000, 1), 0x0F0F_0F0F_0F0F_0F0F, np.uint64)
    codes[::2] ^= rng.integers(0, 2**16, (100_000, 1), dtype=np.uint64) << np.uint64(48)
    matches = Index.build(codes).search(codes[1:2], 1)
    expected = np.flatnonzero(np.bitwise_count(codes[:, 0] ^ codes[1, 0]) <= 1)
    assert sorted(matches.row) == expected.tolist()
