"""Admission: what becomes of a lookup once its hashes are known.

It is answered in blocks of some milliseconds. Before each, a lookup whose caller has gone or will not wait for the
answer is given up, and a large one makes way for interactive ones. Large interactive ones wait for their turn.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from time import monotonic, sleep, thread_time

import grpc

from nearhash_service.access.callers import current_caller
from nearhash_service.errors import Abandoned, Forbidden, Overloaded, TooLate
from nearhash_service.scheduling.lanes import CALL_COST_S, Lane, Lanes, current_lane
from nearhash_service.scheduling.rate_limits import RateLimits
from nearhash_service.scheduling.reception import PRIORITY

__all__ = ["Admission"]

_BLOCK_S = 0.004
_OTHERS_SHARE = 3.0
"""Time for interactive lookups, if there are any, per time for a large one."""
_SURE = 0.5
"""Of an estimated time: it will not take less."""
_LOOK_EVERY_S = 0.0005


class Admission:
    """Admits lookups, and hands out their blocks.

    Parameters
    ----------
    lanes : Lanes
    rate_limits : RateLimits
    """

    def __init__(self, lanes: Lanes, rate_limits: RateLimits) -> None:
        self._interactive = lanes.interactive
        self._large = lanes.large
        self._rate_limits = rate_limits
        # One item for each small interactive lookup under way: a list grows and shrinks without a lock.
        self._small: list[None] = []

    def blocks(self, context: grpc.ServicerContext, count: int, query_s: float) -> Generator[slice, None, None]:
        """Yield which queries to answer next, until all are.

        Parameters
        ----------
        context : grpc.ServicerContext
        count : int
            Queries of the lookup.
        query_s : float
            Estimated time of each.

        Raises
        ------
        Overloaded
            If the caller has asked too much, or too many large lookups wait.
        TooLate
            If the answer would come too late.
        Abandoned
            If the caller has gone.
        """
        lane = current_lane.get()
        cost_s = CALL_COST_S + count * query_s
        is_interactive, is_large = lane is self._interactive, cost_s > _BLOCK_S
        self._check_caller(lane, count)
        _check_wanted(context, cost_s)
        if is_large and is_interactive:
            # It waits beside the lane: it keeps others there from their turns by no more than a call.
            lane.learn(CALL_COST_S)
            with self._large.turn(cost_s, lambda: _check_wanted(context, cost_s)):
                yield from self._blocks(context, count, query_s)
        elif is_large:
            lane.learn(cost_s)
            yield from self._blocks(context, count, query_s)
        else:
            yield from self._at_once(lane, count)

    def _check_caller(self, lane: Lane, count: int) -> None:
        caller = current_caller()
        if caller.bulk_only and lane is self._interactive:
            raise Forbidden(f"this caller may look up in bulk only; send the metadata {PRIORITY}: bulk")
        if caller.queries_per_second is not None:
            wait_s = self._rate_limits.take(caller.name, count, caller.queries_per_second)
            if wait_s:
                raise Overloaded(f"more than {caller.queries_per_second:g} queries per second", wait_s)

    def _at_once(self, lane: Lane, count: int) -> Iterator[slice]:
        begin_s = thread_time()
        under_way = self._small if lane is self._interactive else []
        under_way.append(None)
        try:
            yield slice(0, count)
        finally:
            under_way.pop()
            # Measured, as most of the time for a few hashes is not that of the search.
            lane.learn_measured(CALL_COST_S + thread_time() - begin_s)

    def _blocks(self, context: grpc.ServicerContext, count: int, query_s: float) -> Iterator[slice]:
        size = _block_size(count, query_s)
        begin = 0
        while begin < count:
            end = min(begin + size, count)
            _check_wanted(context, (count - begin) * query_s)
            begin_s = thread_time()
            yield slice(begin, end)
            # Of this thread: what others do meanwhile would make blocks ever smaller, and those cost more.
            took_s = thread_time() - begin_s
            # What the estimate did not know: crowded buckets, many matches.
            query_s = took_s / (end - begin)
            begin = end
            if begin < count:
                size = min(2 * size, _block_size(count - begin, query_s))
                self._make_way(took_s)

    def _make_way(self, took_s: float) -> None:
        end_s = monotonic() + _OTHERS_SHARE * took_s
        while (self._small or self._interactive.pool.waiting) and monotonic() < end_s:
            sleep(_LOOK_EVERY_S)


def _block_size(count: int, query_s: float) -> int:
    """Share queries out to blocks of one size: a small one at the end costs as much beside its search as others."""
    return -(-count // max(1, round(count * query_s / _BLOCK_S)))


def _check_wanted(context: grpc.ServicerContext, cost_s: float) -> None:
    if not context.is_active():
        raise Abandoned("the caller has gone")
    remaining_s = context.time_remaining()
    if remaining_s is not None and remaining_s < _SURE * cost_s:
        raise TooLate(f"the answer would take about {cost_s:.3f} s, and the deadline comes sooner")
