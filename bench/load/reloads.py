"""Latency while the served generation changes over and over, beside the same load without."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from bench.load.calls import LOOKUP, Calls
from bench.load.closed_loop import peak
from bench.load.latencies import Answers
from bench.load.listed import BANK, SEED, Listed
from bench.load.open_loop import in_turn, open_loop
from bench.load.serving import serving
from bench.load.steady import cores

from nearhash.v1 import banks_pb2, banks_pb2_grpc, lookup_pb2
from nearhash_client.channel import open_channel
from nearhash_index.hash_types import HASH_TYPES

__all__ = ["reloads"]

_CHANGES = 20
_EVERY_S = 0.5
_ROUNDS = 6


def reloads(listed: Listed, seconds: float) -> dict[str, Any]:
    """Load one worker with single hashes at half of its peak: alone, while generations change, while they are built.

    - flipping: two generations that exist are made current in turn, twice a second. What a reload costs.
    - publishing: some entries change, a generation is built from all and published, and so on without a pause. The
      build takes a core, and there are only two. What a reload costs with all that leads to it.
    """
    server_cpus, cpus = cores(1)
    singles = listed.requests(20_000, 1, seed=3)
    with (
        serving(listed.published(), workers=1, cpus=server_cpus) as server,
        open_channel(server.address, tls=None) as channel,
    ):
        banks = banks_pb2_grpc.BankServiceStub(channel)
        publishes = _publishing(banks, listed)
        for _ in range(2):
            next(publishes)
        calls = Calls(server.address, LOOKUP, singles, cpus=cpus)
        rate = peak(calls)[1].ok_per_s / 2
        counts = {"flipping": 0, "publishing": 0}

        def load() -> Answers:
            return open_loop(calls, calls_per_s=rate, seconds=seconds)

        def load_during(name: str, steps: Iterator[None], pause_s: float) -> Answers:
            with _repeating(lambda: next(steps), pause_s) as done:
                answers = load()
            counts[name] += len(done)
            if name == "flipping":
                banks.Release(banks_pb2.ReleaseRequest())
            return answers

        told = in_turn(
            {
                "alone": load,
                "flipping": lambda: load_during("flipping", _flipping(banks), _EVERY_S),
                "publishing": lambda: load_during("publishing", publishes, 0.0),
            },
            rounds=_ROUNDS,
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
        "half_of_peak": told,
    }


@contextmanager
def _repeating(step: Callable[[], object], pause_s: float) -> Iterator[list[None]]:
    """Take the step over and over in a thread; yield a list that grows with each."""
    stop, done = threading.Event(), []

    def run() -> None:
        while not stop.wait(pause_s):
            step()
            done.append(None)

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
