import subprocess
import sys

import pytest

from nearhash_service.scheduling import rate_limits
from nearhash_service.scheduling.rate_limits import RateLimits


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(rate_limits, "monotonic", lambda: now[0])
    return now


def test_a_caller_may_ask_what_a_second_brings_at_once_and_then_at_its_rate(tmp_path, clock):
    limits = RateLimits(tmp_path)
    assert [limits.take("uploads", 1, 8) for _ in range(9)] == [0.0] * 9
    assert limits.take("uploads", 1, 8) == pytest.approx(1 / 8)
    clock[0] += 1 / 8
    assert limits.take("uploads", 1, 8) == 0
    assert limits.take("uploads", 1, 8) > 0
    clock[0] += 100
    assert sum(limits.take("uploads", 1, 8) == 0 for _ in range(50)) == 9


def test_a_batch_beyond_the_bucket_passes_and_is_paid_off(tmp_path, clock):
    limits = RateLimits(tmp_path)
    assert limits.take("backfill", 4096, 100) == 0
    assert limits.take("backfill", 1, 100) == pytest.approx(39.96)
    # A refusal costs nothing.
    clock[0] += 39.97
    assert limits.take("backfill", 1, 100) == 0


def test_over_a_minute_the_rate_holds_whatever_the_batches(tmp_path, clock):
    limits = RateLimits(tmp_path)
    passed = 0
    for i in range(6000):
        size = 1 + i % 7
        passed += size if limits.take("uploads", size, 50) == 0 else 0
        clock[0] += 0.01
    assert 3000 <= passed <= 3000 + 50 + 7


@pytest.mark.usefixtures("clock")
def test_callers_have_buckets_of_their_own(tmp_path):
    limits = RateLimits(tmp_path)
    assert limits.take("a", 100, 1) == 0
    assert limits.take("a", 1, 1) > 0
    assert limits.take("b", 1, 1) == 0


def test_processes_take_out_of_one_bucket(tmp_path):
    taking = "import sys, pathlib; from nearhash_service.scheduling.rate_limits import RateLimits; "
    taking += "print(RateLimits(pathlib.Path(sys.argv[1])).take('uploads', 500, 1.0))"
    command = [sys.executable, "-c", taking, tmp_path]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "0.0\n"
    assert RateLimits(tmp_path).take("uploads", 1, 1.0) > 400


@pytest.mark.usefixtures("clock")
def test_a_reset_fills_the_buckets(tmp_path):
    limits = RateLimits(tmp_path)
    assert limits.take("uploads", 100, 1) == 0
    RateLimits(tmp_path).reset()
    assert RateLimits(tmp_path).take("uploads", 1, 1) == 0
