"""Latency while the served generation changes over and over, beside the same load without."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from bench.load.calls import LOOKUP, Calls
from bench.load.closed_loop import peak
from bench.load.latencies import Answers
from bench.load.listed import BANK, SEED, Listed
from bench.load.open_loop import in_turn, open_loop
from bench.load.serving import serving
from bench.load.stalls import stalls
from bench.load.steady import cores

from nearhash.v1 import banks_pb2, banks_pb2_grpc, lookup_pb2
from nearhash_client.channel import open_channel
from nearhash_index.hash_types import HASH_TYPES

__all__ = ["reloads"]

_CHANGES = 20
_EVERY_S = 0.5
_FLIPPING_ROUNDS = 30
_FLIPPING_S = 3.0
"""Of each round. The machine stalls for tens of milliseconds at times: most of many short rounds are free of it."""
_PUBLISHING_ROUNDS = 6


def reloads(listed: Listed, seconds: float) -> dict[str, Any]:
    """Load one worker with single hashes at half of its peak, alone and in turn with each of these.

    - flipping: two generations that exist are made current in turn, twice a second. What a reload costs.
    - publishing: some entries change, a generation is built from all and published, and so on without a pause. The
      build takes a core, and there are only two. What a reload costs with all that leads to it, in rounds of `seconds`.

    Before and after, how the machine itself stalls: at that rate over four connections a call fails once the worker
    stands still for a tenth of a second or more.
    """
    server_cpus, cpus = cores(1)
    singles = listed.requests(20_000, 1, seed=3)
    stalls_before = stalls(server_cpus)
    with (
        serving(listed.published(), workers=1, cpus=server_cpus) as server,
        open_channel(server.addresses[0], tls=None) as channel,
    ):
        banks = banks_pb2_grpc.BankServiceStub(channel)
        publishes = _publishing(banks, listed)
        for _ in range(2):
            next(publishes)
        calls = Calls(server.addresses, LOOKUP, singles, cpus=cpus)
        rate = peak(calls)[1].ok_per_s / 2
        counts = {"flipping": 0, "publishing": 0}

        def load(seconds: float) -> Answers:
            return open_loop(calls, calls_per_s=rate, seconds=seconds)

        def flipping() -> Answers:
            with _repeating(_flipping(banks), _EVERY_S) as done:
                answers = load(_FLIPPING_S)
            counts["flipping"] += len(done)
            banks.Release(banks_pb2.ReleaseRequest())
            return answers

        def publishing() -> Answers:
            with _repeating(publishes, 0.0) as done:
                answers = load(seconds)
            counts["publishing"] += len(done)
            return answers

        beside_flipping = in_turn({"alone": lambda: load(_FLIPPING_S), "flipping": flipping}, rounds=_FLIPPING_ROUNDS)
        beside_publishing = in_turn(
            {"alone": lambda: load(seconds), "publishing": publishing}, rounds=_PUBLISHING_ROUNDS
        )
    return {
        "list": listed.name,
        "radius": listed.radius,
        "seed": SEED,
        "server_cpus": server_cpus,
        "generator_cpus": cpus,
        "calls_per_s": rate,
        "changes_per_publish": _CHANGES,
        "reloads": counts,
        "beside_flipping": beside_flipping,
        "beside_publishing": beside_publishing,
        "machine_stalls": [stalls_before, stalls(server_cpus)],
    }


@contextmanager
def _repeating(steps: Iterator[None], pause_s: float) -> Iterator[list[None]]:
    """Take one step after the other in a thread; yield a list that grows with each."""
    stop, done = threading.Event(), []

    def run() -> None:
        while not stop.wait(pause_s):
            done.append(next(steps))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join()


def _flipping(banks: banks_pb2_grpc.BankServiceStub) -> Iterator[None]:
    """Make the newest two generations current in turn, one a step."""
    newest, before = banks.ListGenerations(banks_pb2.ListGenerationsRequest()).generations[:2]
    for i in count():
        banks.Rollback(banks_pb2.RollbackRequest(generation=(before, newest)[i % 2].number))
        yield


def _publishing(banks: banks_pb2_grpc.BankServiceStub, listed: Listed) -> Iterator[None]:
    """Publish a generation a step, with some entries added and removed again: the list stays what it is."""
    number = lookup_pb2.HashType.ValueType(HASH_TYPES[listed.hash_type].number)
    for i in count():
        changes = []
        for j, value in enumerate(listed.queries(_CHANGES, seed=4)):
            key = banks_pb2.EntryKey(source="bench", entry_id=f"change-{j}")
            entry = banks_pb2.Entry(key=key, hashes=[banks_pb2.Hash(hash_type=number, value=value.tobytes())])
            changes.append(banks_pb2.Change(remove=key) if i % 2 else banks_pb2.Change(upsert=entry))
        banks.ApplyChanges(banks_pb2.ApplyChangesRequest(bank=BANK, changes=changes))
        banks.Publish(banks_pb2.PublishRequest(), timeout=120)
        yield
