import time

import pytest

from nearhash.v1 import lookup_pb2
from nearhash_client import Allowed, DeadlineExceeded
from nearhash_client.batches import Deadline, merge, split


def test_the_time_left_shrinks_and_then_names_the_timeout():
    deadline = Deadline(0.05)
    before = deadline.remaining_s()
    assert before is not None
    assert 0 < before <= 0.05
    time.sleep(0.06)
    # gRPC takes a timeout of 0 for none at all, so it must not get one.
    with pytest.raises(DeadlineExceeded, match=r"^the lookup was not answered within timeout_s = 0\.05$"):
        deadline.remaining_s()


def test_no_timeout_is_no_deadline():
    assert Deadline(None).remaining_s() is None


def test_answers_of_parts_are_numbered_over_the_whole_lookup():
    parts = split(
        range(1, 6),
        hash_type="phash64",
        radius=None,
        banks=(),
        max_matches_per_hash=0,
        min_sequence=0,
        max_batch=2,
    )
    answers = [
        lookup_pb2.LookupResponse(
            generation=7 - i, sequence=9 + i, allowed=[lookup_pb2.Allowed(query=0, bank="fine", entry_id=f"e{i}")]
        )
        for i in range(3)
    ]
    result = merge(parts, answers)
    assert (result.generation, result.sequence) == (5, 9)
    assert result.allowed == tuple(Allowed(2 * i, "fine", f"e{i}", "") for i in range(3))
