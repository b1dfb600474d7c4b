"""A closed loop: a set number of calls is under way at any time. It finds the peak, and tells nothing of latency."""

from __future__ import annotations

import gc
import time

from bench.load.calls import Calls, answers, calling, on_processes
from bench.load.latencies import Answers

__all__ = ["closed_loop", "peak"]


def peak(calls: Calls, *, seconds: float = 3.0, start: int = 2, most: int = 256) -> tuple[int, Answers]:
    """Double the calls under way until that gains less than 3 %; return how many there were, and the best answers."""
    under_way, best = start, closed_loop(calls, under_way=start, seconds=seconds)
    while under_way < most:
        more = closed_loop(calls, under_way=under_way * 2, seconds=seconds)
        if more.ok_per_s < best.ok_per_s * 1.03:
            break
        under_way, best = under_way * 2, more
    return under_way, best


def closed_loop(calls: Calls, *, under_way: int, seconds: float) -> Answers:
    """Keep that many calls under way, shared out over the processes."""
    return on_processes(_send, calls, max(1, under_way // calls.processes), seconds)


def _send(calls: Calls, part: int, begin_s: float, under_way: int, seconds: float) -> Answers:
    del part
    end_s = begin_s + seconds
    gc.disable()
    with calling(calls) as caller:

        def send() -> None:
            now_s = time.monotonic()
            if now_s < end_s:
                caller.send(now_s, send)

        time.sleep(max(0.0, begin_s - time.monotonic()))
        cpu_s = time.process_time()
        for _ in range(under_way):
            send()
        time.sleep(seconds)
    return answers(caller, time.monotonic() - begin_s, time.process_time() - cpu_s)
