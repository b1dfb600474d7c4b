"""The order of matches, against Python's own: the oracle of searches uses it, too."""

from __future__ import annotations

import numpy as np
import pytest

from nearhash_index.matches import Matches

FEW, MANY = 100, 5000


@pytest.mark.parametrize("count", [0, 1, FEW, MANY])
@pytest.mark.parametrize("queries", [3, 1 << 22, 1 << 40])
def test_matches_are_ordered_by_query_distance_and_row(count, queries):
    rng = np.random.default_rng(count)
    query = rng.integers(0, queries, count)
    distance, row = rng.choice([0, 1, 255, 256], count), rng.choice([0, 1, 2**31, 2**32 - 2, 2**32 - 1], count)
    query[-1:] = queries - 1
    code = np.arange(count)
    matches = Matches.sorted(query, row, distance, code)
    found = list(zip(matches.query.tolist(), matches.distance.tolist(), matches.row.tolist(), strict=True))
    assert found == sorted(zip(query.tolist(), distance.tolist(), row.tolist(), strict=True))
    # Each match is still one of those given.
    assert (query[matches.code] == matches.query).all()
    assert (row[matches.code] == matches.row).all()
    assert (distance[matches.code] == matches.distance).all()
