from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numba import njit

from nearhash_index import Index, kernels
from nearhash_index.planes import planes_of

from .cases import random_codes


@pytest.mark.parametrize("kernel", [kernels.scanning.may_match, kernels.scanning.has_match])
@pytest.mark.parametrize("words", [1, 4])
def test_kernels_count_bits_in_vector_registers(kernel: Any, words: int) -> None:
    planes = tuple(planes_of(random_codes(np.random.default_rng(1), 5000, words)))
    query = np.array([plane[0] for plane in planes])
    # Compiled afresh: what Numba loads from its cache carries no assembly.
    compiled = njit(nogil=True)(kernel.py_func)
    assert compiled(planes, np.uint64(0), np.uint64(5000), query, planes[0].dtype.type(8))
    (text,) = compiled.inspect_asm().values()
    # AVX-512 counts in one instruction, AVX2 by looking nibbles up in a table.
    counts = len(re.findall(r"vpopcnt[wq]\s.*[yz]mm|vpshufb\s.*ymm", text))
    assert counts >= 4, text
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


def test_kernels_run_without_scipy_which_can_be_loaded_afterwards() -> None:
    code = (
        "import sys, numpy\n"
        "from nearhash_index import Index\n"
        "codes = numpy.zeros((2, 1), numpy.uint64)\n"
        "print(len(Index.build(codes).search(codes, 0)), 'scipy.linalg' in sys.modules)\n"
        "import scipy.linalg.cython_blas\n"
        "from numba import njit\n"
        "print(njit(lambda a: a @ a)(numpy.eye(2)).trace())\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["4", "False", "2.0"]
