import grpc
import pytest

from nearhash.v1 import banks_pb2
from nearhash_index.estimate import uniform_matches
from nearhash_index.hash_types import HASH_TYPES

from .sample import EMPTY, NARROW
from .violations import refusal, violated_fields


def estimated(stubs, **fields) -> banks_pb2.EstimateMatchesResponse:
    return stubs.banks.EstimateMatches(banks_pb2.EstimateMatchesRequest(**fields), timeout=60)


def test_a_bank_is_estimated_from_its_own_published_hashes(own_stubs, sample):
    found = estimated(own_stubs, bank=NARROW, hash_type=1)
    hashes = sample.hashes(HASH_TYPES["phash64"], NARROW)
    assert (found.generation, found.hash_count) == (1, len(hashes))
    assert [item.radius for item in found.estimates] == list(range(65))
    # The sample's hashes are uniform.
    truth = uniform_matches(64, len(hashes))
    for item in found.estimates[14:21]:
        assert item.uniform_matches == pytest.approx(truth[item.radius])
        assert item.matches_low <= truth[item.radius] <= item.matches_high
        assert item.matches_low < item.matches < item.matches_high
    assert found.estimates[0].list_matches > 0


@pytest.mark.parametrize(
    ("fields", "code", "violated", "told"),
    [
        ({"bank": "nowhere", "hash_type": 1}, "NOT_FOUND", [], "generation 1 has no bank 'nowhere'; publish first"),
        ({"bank": EMPTY, "hash_type": 5}, "INVALID_ARGUMENT", ["bank"], "bank: it has 0 pdq256 hashes"),
        ({"bank": NARROW}, "INVALID_ARGUMENT", ["hash_type"], "is not a hash type"),
    ],
)
def test_what_cannot_be_estimated_is_refused(own_stubs, fields, code, violated, told):
    error = refusal(lambda: estimated(own_stubs, **fields))
    assert error.code() == grpc.StatusCode[code]
    assert told in error.details()
    assert violated_fields(error) == violated
