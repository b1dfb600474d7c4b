"""An open loop: calls start when they are due, whether or not the earlier ones have been answered.

Users do not wait for each other. So the latency of a call counts from when it was due, not from when the generator got
round to sending it: a server that stalls for a second delays every call of that second, and all of them are counted.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from bench.load.calls import Calls, answers, calling, on_processes
from bench.load.latencies import Answers, together

__all__ = ["in_turn", "open_loop"]

_MOST_WAITING = 20_000
"""Unanswered calls of a process; beyond it calls count as unsent, so that memory stays bounded."""


def open_loop(calls: Calls, *, calls_per_s: float, seconds: float) -> Answers:
    """Send calls at that rate, evenly spaced over all processes, and wait for the last answer."""
    return on_processes(_send, calls, calls_per_s, seconds)


def in_turn(loads: Mapping[str, Callable[[], Answers]], *, rounds: int) -> dict[str, dict[str, Any]]:
    """Run loads in turn, several times, so that each meets the same noise of the machine.

    Returns
    -------
    dict of what the rounds of each load told together, and the median of the rounds' p99, which one disturbed round
    does not move. "noise" is how far the odd and the even rounds of one and the same load differ: a ratio of 1 is none.
    """
    found: dict[str, list[Answers]] = {name: [] for name in loads}
    for _ in range(rounds):
        for name, load in loads.items():
            found[name].append(load())
    told = {}
    for name, seen in found.items():
        p99_ms = [of_round.percentile_ms(99) for of_round in seen]
        halves = statistics.median(p99_ms[::2]), statistics.median(p99_ms[1::2])
        told[name] = {
            **together(seen, sum(of_round.seconds for of_round in seen)).told(),
            "p99_ms_by_round": p99_ms,
            "median_p99_ms": statistics.median(p99_ms),
            "noise": max(halves) / min(halves),
        }
    return told


def _send(calls: Calls, part: int, begin_s: float, calls_per_s: float, seconds: float) -> Answers:
    """Send every `processes`-th call."""
    count = round(calls_per_s * seconds / calls.processes)
    unsent = 0
    gc.disable()
    with calling(calls) as caller:
        time.sleep(max(0.0, begin_s - time.monotonic()))
        cpu_s = time.process_time()
        for i in range(count):
            due_s = begin_s + (i * calls.processes + part) / calls_per_s
            early_s = due_s - time.monotonic()
            if early_s > 0:
                time.sleep(early_s)
            if caller.waiting < _MOST_WAITING:
                caller.send(due_s)
            else:
                unsent += 1
    return answers(caller, time.monotonic() - begin_s, time.process_time() - cpu_s, unsent)
