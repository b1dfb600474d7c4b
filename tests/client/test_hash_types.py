import hashlib

import pytest

from nearhash.v1 import lookup_pb2
from nearhash_client import HASH_TYPES, InvalidRequest
from nearhash_client.hash_types import find_hash_type


def test_every_type_of_the_wire_has_its_name():
    on_the_wire = {name.removeprefix("HASH_TYPE_").lower(): number for name, number in lookup_pb2.HashType.items()}
    del on_the_wire["unspecified"]
    assert {name: hash_type.number for name, hash_type in HASH_TYPES.items()} == on_the_wire


@pytest.mark.parametrize("name", ["md5", "sha1", "sha256"])
def test_digests_are_as_wide_as_what_hashlib_makes(name):
    assert HASH_TYPES[name].width_bytes == hashlib.new(name).digest_size


@pytest.mark.parametrize("name", ["phash64", "dhash64", "ahash64", "whash64", "pdq256"])
def test_perceptual_hashes_say_their_width_in_their_name(name):
    assert name.endswith(str(HASH_TYPES[name].width_bits))


@pytest.mark.parametrize("name", ["phash", "PHASH64", "", 1, None, ["phash64"]])
def test_an_unknown_name_is_refused_with_those_that_exist(name):
    with pytest.raises(InvalidRequest, match=r"^hash_type: found .*one of phash64, dhash64, .*sha256$"):
        find_hash_type(name)
