import threading
from time import monotonic, sleep

import pytest

from nearhash_service.metrics.buckets import SECONDS, Buckets
from nearhash_service.scheduling.call_pool import CallPool

from .pooled import submitted
from .running import eventually

KEPT = 4
"""Threads that a pool keeps."""


@pytest.fixture
def waits():
    return Buckets(SECONDS)


@pytest.fixture
def name(request):
    """Of the pool of this test alone: threads of an earlier one may still be ending."""
    return f"calls of {request.node.name}"


@pytest.fixture
def pool(name, waits):
    with CallPool(name, 2, waits) as pool:
        yield pool


def thread_count(name: str) -> int:
    return sum(thread.name == name for thread in threading.enumerate())


def test_calls_that_fail_are_logged_and_the_threads_go_on(pool, caplog):
    answers = []
    for _ in range(10):
        assert pool.submit(divmod, 7, 0).done()
        pool.submit(answers.append, 1)
    eventually(lambda: pool.unfinished() == 0)
    assert (len(answers), pool.waiting) == (10, 0)
    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError] * 10


def test_it_answers_so_many_at_a_time_and_the_others_later(pool):
    go, order = threading.Event(), []
    first = [submitted(pool, go.wait, 30) for _ in range(2)]
    later = [submitted(pool, order.append, i) for i in range(20)]
    eventually(lambda: pool.waiting == 20)
    sleep(0.2)
    assert (pool.waiting, order) == (20, [])
    go.set()
    assert all(future.result(10) for future in first)
    for future in later:
        future.result(10)
    assert sorted(order) == list(range(20))


def test_waits_are_counted(pool, waits):
    go = threading.Event()
    first = [submitted(pool, go.wait, 30) for _ in range(2)]
    later = [submitted(pool, divmod, 7, 2) for _ in range(3)]
    sleep(0.25)
    go.set()
    for future in (*first, *later):
        future.result(10)
    bounds, total_s = waits.told()
    by_bound = dict(bounds)
    assert (by_bound["0.2"], by_bound["+Inf"]) == (2, 5)
    assert total_s >= 0.75


def test_another_thread_takes_the_place_of_a_call_that_is_set_aside(pool, name):
    go = threading.Event()

    def long_call() -> bool:
        with pool.set_aside():
            return go.wait(30)

    futures = [submitted(pool, long_call) for _ in range(5)]
    begin_s = monotonic()
    for _ in range(10):
        assert submitted(pool, divmod, 7, 2).result(20) == (3, 1)
    # At once, and not when somebody looks.
    assert monotonic() - begin_s < 5
    assert thread_count(name) == 2 + 5
    go.set()
    assert all(future.result(10) for future in futures)
    # One that is left over ends, or is kept, after its next call.
    eventually(lambda: submitted(pool, divmod, 7, 2).result(10) and thread_count(name) <= 2 + KEPT)


def test_some_threads_are_kept_for_the_next_calls_that_are_set_aside_and_answer_no_others(pool, name):
    def set_aside(count: int) -> set[int]:
        """Return which threads answered so many such calls at once."""
        together = threading.Barrier(count)

        def long_call() -> int:
            with pool.set_aside():
                together.wait(30)
            return threading.get_ident()

        return {future.result(30) for future in [submitted(pool, long_call) for _ in range(count)]}

    set_aside(KEPT)
    eventually(lambda: submitted(pool, divmod, 7, 2).result(10) and pool.thread_count == 2)
    assert thread_count(name) == 2 + KEPT
    go = threading.Event()
    short = [submitted(pool, go.wait, 30) for _ in range(5)]
    eventually(lambda: pool.waiting == 3)
    sleep(0.2)
    assert pool.waiting == 3
    go.set()
    assert all(future.result(10) for future in short)
    before = {thread.ident for thread in threading.enumerate() if thread.name == name}
    assert set_aside(KEPT) <= before


def test_calls_of_before_are_told_apart(pool):
    go = threading.Event()
    before = submitted(pool, go.wait, 30)
    pool.begin_epoch()
    after = threading.Event()
    submitted(pool, after.wait, 30)
    assert (pool.unfinished_of_before(), pool.unfinished()) == (1, 2)
    go.set()
    before.result(10)
    eventually(lambda: pool.unfinished_of_before() == 0)
    assert pool.unfinished() == 1
    after.set()


def test_its_threads_end_with_it(name):
    with CallPool(name, 3, Buckets(SECONDS)) as pool:
        assert submitted(pool, divmod, 7, 2).result(10) == (3, 1)
        assert thread_count(name) == 3
        with pool.set_aside():
            pass
        eventually(lambda: submitted(pool, divmod, 7, 2).result(10) and pool.thread_count == 3)
        assert thread_count(name) == 4
    eventually(lambda: not any(thread.name.startswith(name) for thread in threading.enumerate()))


def test_none_of_its_threads_is_kept_after_its_end(name):
    go = threading.Event()

    def long_call() -> bool:
        with pool.set_aside():
            return go.wait(30)

    with CallPool(name, 2, Buckets(SECONDS)) as pool:
        futures = [submitted(pool, long_call) for _ in range(3)]
        eventually(lambda: pool.thread_count == 2 + 3)
    go.set()
    assert all(future.result(10) for future in futures)
    eventually(lambda: thread_count(name) == 0)
