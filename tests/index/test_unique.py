from __future__ import annotations

import numpy as np
import pytest

from nearhash_index.matches import Hits
from nearhash_index.unique import collapse

from .cases import WIDTHS, all_cases


@pytest.mark.parametrize("words", WIDTHS)
def test_postings_name_every_row_of_every_code(words: int) -> None:
    for case in all_cases(words, n=500):
        unique, postings = collapse(case.codes)
        assert len(np.unique(unique, axis=0)) == len(unique)
        everything = np.arange(len(unique))
        matches = postings.expand(Hits(everything, everything, everything * 0))
        assert sorted(matches.row) == list(range(len(case.codes)))
        np.testing.assert_array_equal(unique[matches.query], case.codes[matches.row])


def test_codes_without_duplicates_have_no_postings() -> None:
    codes = np.array([[3], [1], [2]], np.uint64)
    unique, postings = collapse(codes)
    np.testing.assert_array_equal(unique, codes)
    assert len(postings.starts) == len(postings.rows) == 0


def test_rows_of_one_code_are_given_in_order() -> None:
    _, postings = collapse(np.array([[7], [5], [7], [5], [7]], np.uint64))
    hits = Hits(np.array([1, 0]), np.array([1, 0]), np.array([2, 3]))
    matches = postings.expand(hits)
    assert matches.query.tolist() == [0, 0, 1, 1, 1]
    assert matches.row.tolist() == [1, 3, 0, 2, 4]
