import grpc
import numpy as np
import pytest

from nearhash_index.hash_types import HASH_TYPES

from .sample import DISABLED, EMPTY, NARROW, WIDE, WIDE_RADII, flipped, rows_of
from .violations import refusal, violated_fields

PHASH64 = HASH_TYPES["phash64"]
ALL_MATCHES = 10_000


def packed(values) -> bytes:
    return b"".join(values)


def near_and_far(sample, hash_type, rng) -> list[bytes]:
    """Return queries inside, at and just outside every bank's radius, and random ones."""
    radii = {hash_type.default_radius, WIDE_RADII[hash_type.name]}
    distances = sorted({0, 1} | radii | {radius + 1 for radius in radii} | {max(radius - 1, 0) for radius in radii})
    hashes = sample.hashes(hash_type)
    chosen = [hashes[i] for i in rng.choice(len(hashes), 12, replace=False)]
    near = [flipped(rng, value, distance) for value in chosen for distance in distances]
    return near + [rng.bytes(hash_type.size_bytes) for _ in range(8)]


@pytest.mark.parametrize("hash_type", HASH_TYPES.values(), ids=lambda t: t.name)
@pytest.mark.parametrize("above", [None, -1, 0, 1, 30], ids=lambda a: "unset" if a is None else f"default{a:+}")
def test_answers_are_those_of_the_oracle(stubs, sample, hash_type, above):
    queries = near_and_far(sample, hash_type, np.random.default_rng(hash_type.number))
    radius = None if above is None else max(0, hash_type.default_radius + above)
    response = stubs.lookup(
        hash_type=hash_type.number, hashes=packed(queries), radius=radius, max_matches_per_hash=ALL_MATCHES
    )
    assert rows_of(response) == sample.expected(hash_type, queries, radius=radius)
    assert response.matches
    assert (list(response.unsearchable), list(response.truncated)) == ([], [])


@pytest.mark.parametrize("hash_type", HASH_TYPES.values(), ids=lambda t: t.name)
@pytest.mark.parametrize("bank", [NARROW, WIDE])
def test_an_entry_is_present_at_its_banks_radius_and_absent_one_bit_further(stubs, sample, hash_type, bank):
    rng = np.random.default_rng(3)
    radius = {NARROW: hash_type.default_radius, WIDE: WIDE_RADII[hash_type.name]}[bank]
    value = sample.hashes(hash_type, bank)[5]
    at, beyond = flipped(rng, value, radius), flipped(rng, value, radius + 1)
    response = stubs.lookup(hash_type=hash_type.number, hashes=at + beyond, banks=[bank])
    assert [(match.query, match.distance) for match in response.matches] == [(0, radius)]


def test_a_radius_above_the_banks_is_the_banks_and_one_below_is_the_callers(stubs, sample):
    rng = np.random.default_rng(4)
    value = sample.hashes(PHASH64, NARROW)[2]
    queries = [flipped(rng, value, distance) for distance in range(20)]
    for radius, reach in ((0, 0), (3, 3), (8, 8), (9, 8), (64, 8)):
        response = stubs.lookup(hash_type=1, hashes=packed(queries), radius=radius, banks=[NARROW])
        assert [match.distance for match in response.matches] == list(range(reach + 1))


def test_an_entry_with_several_hashes_near_the_query_matches_once_by_the_nearest(stubs, sample):
    entry = next(entry for entry in sample.entries[NARROW] if entry.key.entry_id == "several-000")
    queries = [item.value for item in entry.hashes]
    response = stubs.lookup(hash_type=1, hashes=packed(queries))
    assert [(m.query, m.distance, m.entry_id) for m in response.matches] == [
        (0, 0, "several-000"),
        (1, 0, "several-000"),
    ]


def test_every_hash_of_an_entry_is_answered_on_demand(stubs, sample):
    entry = next(entry for entry in sample.entries[NARROW] if entry.key.entry_id == "several-000")
    queries = [item.value for item in entry.hashes]
    response = stubs.lookup(hash_type=1, hashes=packed(queries), every_hash=True)
    found = {(m.query, m.distance, m.entry_id, m.hash_count) for m in response.matches}
    assert found == {(query, 0, "several-000", 2) for query in (0, 1)}
    assert sorted(m.hash_index for m in response.matches) == [0, 1]


@pytest.mark.parametrize("banks", [[NARROW], [WIDE], [WIDE, NARROW], [NARROW, NARROW], [EMPTY]], ids="+".join)
def test_only_the_banks_named_are_searched(stubs, sample, banks):
    queries = sample.hashes(PHASH64)[:300:3]
    response = stubs.lookup(hash_type=1, hashes=packed(queries), banks=banks)
    assert rows_of(response) == sample.expected(PHASH64, queries, banks=banks)
    assert {match.bank for match in response.matches} == set(banks) - {EMPTY}


def test_a_disabled_bank_is_not_searched_and_refused_by_name(stubs, sample):
    value = sample.hashes(PHASH64, DISABLED)[0]
    response = stubs.lookup(hash_type=1, hashes=value)
    assert {match.bank for match in response.matches} == {NARROW, WIDE}
    error = refusal(stubs.lookup, hash_type=1, hashes=value, banks=[NARROW, DISABLED])
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert DISABLED in error.details()


def test_a_degenerate_hash_is_said_to_be_unsearchable_and_the_others_are_searched(stubs, sample):
    good = sample.hashes(PHASH64, NARROW)[0]
    flat, striped = bytes(8), b"\xff\x00\xff\x00\xff\x00\xff\x00"
    response = stubs.lookup(hash_type=1, hashes=flat + good + striped)
    assert [item.query for item in response.unsearchable] == [0, 2]
    assert all("says too little about its image" in item.reason for item in response.unsearchable)
    assert {match.query for match in response.matches} == {1}


def test_digests_are_never_unsearchable(stubs):
    assert not stubs.lookup(hash_type=6, hashes=bytes(16)).unsearchable


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_the_nearest_matches_are_kept_and_the_queries_cut_are_named(stubs, sample, limit):
    queries = sample.hashes(PHASH64, DISABLED)
    whole = sample.expected(PHASH64, queries)
    counts = np.bincount([row[0] for row in whole])
    response = stubs.lookup(hash_type=1, hashes=packed(queries), max_matches_per_hash=limit)
    expected = [row for q in range(len(queries)) for row in [r for r in whole if r[0] == q][:limit]]
    assert rows_of(response) == expected
    assert list(response.truncated) == np.flatnonzero(counts > limit).tolist()


def test_the_largest_batch_is_answered(stubs, sample):
    values = sample.hashes(PHASH64, WIDE)
    queries = (values * (16_384 // len(values) + 1))[:16_384]
    response = stubs.lookup(hash_type=1, hashes=packed(queries), radius=0, banks=[WIDE])
    assert {match.query for match in response.matches} == set(range(16_384))


def test_the_answer_names_its_generation_and_sequence(stubs, sample):
    status = stubs.status()
    response = stubs.lookup(hash_type=1, hashes=bytes(8))
    assert (response.generation, response.sequence) == (1, status.current.sequence)
    entries = sum(len(of_bank) for of_bank in sample.entries.values())
    assert response.sequence == entries + len(sample.banks) + 1


def test_min_sequence_is_met_or_refused(stubs, sample):
    value = sample.hashes(PHASH64)[0]
    reached = stubs.lookup(hash_type=1, hashes=value).sequence
    assert stubs.lookup(hash_type=1, hashes=value, min_sequence=reached).matches
    error = refusal(stubs.lookup, hash_type=1, hashes=value, min_sequence=reached + 1)
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert str(reached + 1) in error.details()


BAD_REQUESTS = {
    "hash type unset": ({"hashes": bytes(8)}, "hash_type"),
    "hash type unknown": ({"hash_type": 99, "hashes": bytes(8)}, "hash_type"),
    "hash type negative": ({"hash_type": -1, "hashes": bytes(8)}, "hash_type"),
    "no hash": ({"hash_type": 1}, "hashes"),
    "one byte short": ({"hash_type": 5, "hashes": bytes(63)}, "hashes"),
    "one byte over": ({"hash_type": 7, "hashes": bytes(21)}, "hashes"),
    "batch of 16385": ({"hash_type": 1, "hashes": bytes(8 * 16_385)}, "hashes"),
    "batch of 16385 PDQ": ({"hash_type": 5, "hashes": bytes(32 * 16_385)}, "hashes"),
    "radius of 65": ({"hash_type": 1, "hashes": bytes(8), "radius": 65}, "radius"),
    "radius of 2**32 - 1": ({"hash_type": 5, "hashes": bytes(32), "radius": 2**32 - 1}, "radius"),
    "1001 banks": ({"hash_type": 1, "hashes": bytes(8), "banks": [NARROW] * 1001}, "banks"),
    "10001 matches": ({"hash_type": 1, "hashes": bytes(8), "max_matches_per_hash": 10_001}, "max_matches_per_hash"),
}


@pytest.mark.parametrize(("fields", "field"), BAD_REQUESTS.values(), ids=BAD_REQUESTS)
def test_a_bad_request_is_refused_naming_the_field_and_the_server_lives_on(stubs, fields, field):
    error = refusal(stubs.lookup, **fields)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert violated_fields(error) == [field]
    assert error.details().startswith(f"{field}: ")
    assert stubs.lookup(hash_type=1, hashes=bytes(8)).generation == 1


@pytest.mark.parametrize(
    "name", ["nobody", "", "\N{GRINNING FACE}" * 1000, "x" * 100_000], ids=["a", "empty", "e", "x"]
)
def test_an_unknown_bank_is_not_found(stubs, name):
    error = refusal(stubs.lookup, hash_type=1, hashes=bytes(8), banks=[NARROW, name])
    assert error.code() == grpc.StatusCode.NOT_FOUND
    assert "there is no bank" in error.details()


def test_a_message_above_the_limit_is_refused_and_the_server_lives_on(stubs):
    error = refusal(stubs.lookup, hash_type=1, hashes=bytes(17 << 20))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert stubs.lookup(hash_type=1, hashes=bytes(8)).generation == 1
