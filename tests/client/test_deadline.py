import time

import pytest

from nearhash_client import DeadlineExceeded
from nearhash_client.deadline import Deadline


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


def test_of_two_the_later_counts_and_none_is_the_latest():
    sooner, later, never = Deadline(1), Deadline(2), Deadline(None)
    assert sooner.later(later) is later.later(sooner) is later
    assert later.later(never) is never.later(later) is never
