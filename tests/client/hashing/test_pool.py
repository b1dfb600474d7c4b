import os
import signal
import time
from functools import partial

import pytest

from nearhash_client.hashing import HashingPool, ImageError, ImageTooSlow, NotAnImage, compute

from . import photographs

PATHS = [photographs.FOLDER / name for name in photographs.ALL]


# For `eval`, which a new process finds, unlike what a test defines: what a file could make a decoder do.
WORK = "__import__('os').getpid()"
HANG = "__import__('time').sleep(60)"
DIE = "__import__('os').abort()"


@pytest.fixture(scope="module")
def pool():
    with HashingPool(2, timeout_s=4) as made:
        yield made


def test_a_pool_hashes_as_a_call_does_in_the_order_given(pool):
    assert pool.compute(PATHS[0], ["pdq256"], forms=["rotate90"]) == compute(PATHS[0], ["pdq256"], forms=["rotate90"])
    hashes = list(pool.map(partial(compute, hash_types=("phash64", "md5")), PATHS * 3))
    assert hashes == [compute(path, ("phash64", "md5")) for path in PATHS] * 3
    assert [item.hasher for item in hashes[0]] == [item.hasher for item in compute(PATHS[0], ("phash64", "md5"))]


def test_an_error_comes_in_the_place_of_the_result_and_the_others_follow(pool, tmp_path):
    text = tmp_path / "text.png"
    text.write_text("text")
    first, error, missing, last = pool.map(compute, [PATHS[0], text, tmp_path / "none.png", PATHS[1]])
    assert (first, last) == (compute(PATHS[0]), compute(PATHS[1]))
    assert isinstance(error, NotAnImage)
    assert str(error).startswith(f"{text}: in no image format that is read")
    assert isinstance(missing, FileNotFoundError)
    with pytest.raises(NotAnImage, match=r"^<bytes>: in no image format"):
        pool.compute(b"text")


def test_what_hangs_or_dies_is_ended_and_the_others_are_hashed(pool):
    started = time.monotonic()
    answers = list(pool.map(eval, [WORK, HANG, WORK, DIE, WORK, WORK]))
    assert time.monotonic() - started < 30
    assert [type(answer) for answer in answers] == [int, ImageTooSlow, int, ImageError, int, int]
    assert str(answers[1]) == f"{HANG}: not hashed within timeout_s = 4; its process was ended"
    assert str(answers[3]).startswith(f"{DIE}: the process that hashed it died (")
    assert os.getpid() not in answers


def test_few_items_are_taken_ahead(pool):
    taken = []

    def items():
        for number in range(1000):
            taken.append(number)
            yield str(number)

    answers = pool.map(eval, items())
    next(answers)
    assert len(taken) <= 4 * pool.processes
    for _ in range(100):
        next(answers)
    assert len(taken) <= 100 + 4 * pool.processes


def test_a_closed_pool_leaves_no_process():
    with HashingPool(1) as pool:
        (process_id,) = pool.map(eval, [WORK])
        os.kill(process_id, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(process_id, 0)


# The pool's own thread ends with an error, which is what breaks it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_pool_whose_waiting_processes_are_killed_hashes_again():
    with HashingPool(1) as pool:
        (process_id,) = pool.map(eval, [WORK])
        os.kill(process_id, signal.SIGKILL)
        # Work that was given to the broken pool fails; what comes later does not.
        answers = [next(pool.map(eval, [WORK])) for _ in range(4)]
        assert [type(answer) for answer in answers[1:]] == [int] * 3
        assert type(answers[0]) in {int, ImageError}
        assert process_id not in answers
    with pytest.raises(RuntimeError):
        pool.compute(PATHS[0])


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_is_given_to_a_pool_while_it_breaks_is_not_waited_for(monkeypatch):
    with HashingPool(1) as pool:
        breaking = pool._pool
        os.kill(pool.run(eval, WORK), signal.SIGKILL)
        while breaking.active:
            time.sleep(0.01)
        with monkeypatch.context() as before:
            # As if it had been asked just before.
            before.setattr(breaking, "_check_pool_status", lambda: None)
            begin_s = time.monotonic()
            with pytest.raises(ImageError, match="the process that was to hash it died"):
                pool.run(eval, WORK)
            assert time.monotonic() - begin_s < 20
        assert pool.run(eval, WORK)


def test_what_a_killed_process_has_left_locked_is_not_waited_for_a_minute():
    with HashingPool(1) as pool:
        assert pool.run(eval, WORK)
        # As if the process had been killed while it took an item.
        pool._pool._pool_manager.worker_manager.workers_channel.mutex.reader_mutex.acquire()
        started = time.monotonic()
        answer = next(answer for answer in pool.map(eval, [WORK] * 100) if not isinstance(answer, ImageError))
        assert isinstance(answer, int)
        assert time.monotonic() - started < 30
