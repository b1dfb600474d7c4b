import asyncio
import re
from itertools import islice

import numpy as np
import pytest

from nearhash.v1 import lookup_pb2
from nearhash_client import InvalidRequest
from nearhash_client.requests import Terms, request_of


def test_equal_terms_have_one_key_and_others_another():
    key = Terms(hash_type="pdq256", banks=["b"], min_sequence=7).key
    assert key == Terms(min_sequence=7, banks=("b",), hash_type="pdq256").key
    others = [{}, {"hash_type": "phash64"}, {"banks": ["c"]}, {"radius": 0}, {"max_matches_per_hash": 1}]
    terms = {"hash_type": "pdq256", "banks": ["b"], "min_sequence": 7}
    assert len({key, *(Terms(**{**terms, **other}).key for other in others[1:]), Terms().key}) == 6


def test_a_request_says_the_terms_and_the_hashes():
    assert request_of(Terms(radius=0, banks=["b"]).key, b"12345678") == lookup_pb2.LookupRequest(
        hash_type=lookup_pb2.HASH_TYPE_PHASH64, radius=0, banks=["b"], hashes=b"12345678"
    )


@pytest.mark.parametrize("form", ["list", "iterator", "array"])
def test_a_stream_is_cut_into_pieces_with_their_positions(form):
    values = range(100, 110)
    hashes = {"list": list(values), "iterator": iter(values), "array": np.array(values, np.uint64)}[form]
    parts = list(Terms().stream(hashes, 4, 50))
    assert [(part.first_query, part.next_query) for part in parts] == [(50, 54), (54, 58), (58, 60)]
    assert b"".join(part.request.hashes for part in parts) == b"".join(value.to_bytes(8) for value in values)


def test_a_stream_reads_no_more_than_it_sends():
    read: list[int] = []

    def hashes():
        for value in range(1000):
            read.append(value)
            yield value

    list(islice(Terms().stream(hashes(), 4, 0), 2))
    assert len(read) == 8


def test_an_asynchronous_stream_is_cut_alike():
    async def hashes():
        for value in range(10):
            yield value

    async def parts():
        return [part async for part in Terms().stream_async(hashes(), 4, 50)]

    assert asyncio.run(parts()) == list(Terms().stream(range(10), 4, 50))


def test_a_wrong_hash_is_named_by_its_position_in_the_whole_stream():
    parts = Terms().stream([1, 2, 3, 4, "xyz"], 4, 50)
    next(parts)
    with pytest.raises(InvalidRequest, match=r"^hashes\[54\]: found 3 characters"):
        next(parts)


@pytest.mark.parametrize("wrong", ["0" * 16, b"12345678", 7])
def test_one_hash_is_no_stream(wrong):
    with pytest.raises(InvalidRequest, match=re.escape(f"hashes: found {type(wrong).__name__}; pass an iterable")):
        list(Terms().stream(wrong, 4, 0))


def test_no_hashes_are_no_calls():
    assert list(Terms().stream([], 4, 0)) == []
