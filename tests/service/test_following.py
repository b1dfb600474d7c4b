"""Every worker follows changes within a second of their acknowledgement, while lookups go on."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from time import perf_counter, sleep, time

import grpc
import pytest

from nearhash_index.entries import EntryKey
from nearhash_index.hash_types import HASH_TYPES

from .calls import RNG, apply, change, create, hash_message, remove, update, upsert
from .running import Stubs, connected, eventually, serving
from .sample import EMPTY, NARROW
from .test_apply_changes import disable
from .violations import refusal

BOUND_S = 1.0
REPETITIONS = 20


@pytest.fixture(scope="module")
def workers(tmp_path_factory, published) -> Iterator[list[Stubs]]:
    """Two workers of one server, each by a connection that stays with it."""
    folder = tmp_path_factory.mktemp("following")
    data = shutil.copytree(published, folder / "data")
    with serving(folder / "server", data, "--workers", 2) as running, ExitStack() as stack:
        found: dict[int, Stubs] = {}
        while len(found) < 2:
            stubs = stack.enter_context(connected(running.address))
            found.setdefault(stubs.status().worker.process_id, stubs)
        yield list(found.values())


@contextmanager
def lookups_going_on(workers: list[Stubs], hashes: bytes) -> Iterator[list[str]]:
    """Look up without pause at each worker; yield what went wrong."""
    stop, wrong = threading.Event(), []

    def look_up(stubs: Stubs) -> None:
        while not stop.is_set():
            try:
                if not stubs.lookup(hash_type=1, hashes=hashes).matches:
                    wrong.append("no matches")
            except grpc.RpcError as error:
                wrong.append(error.details())

    threads = [threading.Thread(target=look_up, args=(stubs,)) for stubs in workers]
    for thread in threads:
        thread.start()
    try:
        yield wrong
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)


def matched(stubs: Stubs, value: bytes, **fields: object) -> list[str]:
    return [match.entry_id for match in stubs.lookup(hash_type=1, hashes=value, **fields).matches]


def seconds_until_all(workers: list[Stubs], holds: Callable[[Stubs], bool], since_s: float) -> float:
    """Return how long after that time the last worker made it hold; asked without pause."""
    took_s = 0.0
    for stubs in workers:
        while not holds(stubs):
            assert perf_counter() - since_s < 20
            sleep(0.001)
        took_s = max(took_s, perf_counter() - since_s)
    return took_s


def test_a_withdrawal_is_honoured_by_every_worker_within_a_second(workers, sample, capsys):
    keys = [entry.key for entry in sample.entries[NARROW] if entry.key.entry_id.startswith("phash64")]
    own = {entry.key: entry.hashes[0].value for entry in sample.entries[NARROW]}
    others = b"".join(own[key] for key in keys[REPETITIONS:][:16])
    took_s = []
    with lookups_going_on(workers, others) as wrong:
        for i, key in enumerate(keys[:REPETITIONS]):
            where = {"banks": [NARROW], "radius": 0}
            assert all(key.entry_id in matched(stubs, own[key], **where) for stubs in workers)
            # In turn over one worker's connection, and the other's.
            apply(workers[i % 2], NARROW, change("withdraw", key.entry_id, key.source))
            acknowledged_s = perf_counter()
            gone = partial(lacks, key, own[key], where)
            took_s.append(seconds_until_all(workers, gone, acknowledged_s))
    assert wrong == []
    assert max(took_s) < BOUND_S
    with capsys.disabled(), suppress(BrokenPipeError):
        middle_s = sorted(took_s)[len(took_s) // 2]
        print(f"\n  {len(took_s)} withdrawals: median {middle_s * 1e3:.0f} ms, worst {max(took_s) * 1e3:.0f} ms")  # noqa: T201


def lacks(key: EntryKey, value: bytes, where: dict[str, object], stubs: Stubs) -> bool:
    matches = stubs.lookup(hash_type=1, hashes=value, **where).matches
    return key not in [(match.entry_id, match.source) for match in matches]


def test_the_sequence_of_a_change_is_reached_by_every_worker_within_a_second(workers):
    for i in range(10):
        value = RNG.bytes(8)
        sequence = apply(workers[i % 2], EMPTY, upsert(f"new-{i}", hash_message(1, value))).sequence
        acknowledged_s = perf_counter()

        def reached(stubs: Stubs, value: bytes = value, sequence: int = sequence, i: int = i) -> bool:
            try:
                response = stubs.lookup(hash_type=1, hashes=value, min_sequence=sequence)
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.FAILED_PRECONDITION  # noqa: PT017
                assert "is not reached yet" in error.details()  # noqa: PT017
                return False
            # Whoever has reached it answers with it.
            assert [match.entry_id for match in response.matches] == [f"new-{i}"]
            assert response.sequence >= sequence
            return True

        assert seconds_until_all(workers, reached, acknowledged_s) < BOUND_S
        assert refusal(workers[0].lookup, hash_type=1, hashes=value, min_sequence=sequence + 1)


def test_an_entry_is_followed_through_all_its_states(workers):
    first, second = RNG.bytes(8), RNG.bytes(8)
    states = [
        (upsert("e", hash_message(1, first)), True, False),
        (upsert("e", hash_message(1, second)), False, True),
        (change("disable", "e"), False, False),
        (change("enable", "e"), False, True),
        (remove("e"), False, False),
        (upsert("e", hash_message(1, first), hash_message(1, second)), True, True),
        (change("withdraw", "e"), False, False),
        (change("reinstate", "e"), False, False),
        (upsert("e", hash_message(1, first)), True, False),
    ]
    for i, (step, *expected) in enumerate(states):
        sequence = apply(workers[i % 2], EMPTY, step).sequence
        for stubs in workers:
            eventually(lambda stubs=stubs, sequence=sequence: stubs.status().worker.sequence == sequence, BOUND_S)
            assert [bool(matched(stubs, value)) for value in (first, second)] == expected, step


def test_an_entry_disabled_until_a_time_matches_again_from_then_on(workers):
    value = RNG.bytes(8)
    apply(workers[0], EMPTY, upsert("e", hash_message(1, value)))
    until_s = int(time()) + 3
    apply(workers[0], EMPTY, disable("e", until_s))
    for stubs in workers:
        eventually(lambda stubs=stubs: not matched(stubs, value), BOUND_S)
    for stubs in workers:
        eventually(lambda stubs=stubs: matched(stubs, value))
        assert until_s <= time() < until_s + BOUND_S


def test_quarantined_hashes_match_once_they_are_released(workers):
    value = RNG.bytes(8)
    key = {"source": "local", "entry_id": "q"}
    entry = {"key": key, "hashes": [hash_message()], "quarantined": [hash_message(1, value)]}
    apply(workers[0], EMPTY, type(change("enable", "q"))(upsert=entry))
    sequence = apply(workers[0], EMPTY, upsert("after")).sequence
    eventually(lambda: workers[1].status().worker.sequence == sequence, BOUND_S)
    assert matched(workers[1], value) == []
    apply(workers[0], EMPTY, change("unquarantine", "q"))
    eventually(lambda: matched(workers[1], value) == ["q"], BOUND_S)


def test_an_allowlist_suppresses_matches_and_says_so_until_it_is_none_or_disabled(workers, sample):
    values = sample.hashes(HASH_TYPES["phash64"], NARROW)[-4:-1]
    assert len(set(values)) == 3
    before = [set(matched(workers[1], value)) for value in values]
    assert all(before)
    create(workers[0], "allowed", allowlist=True)
    done = apply(workers[0], "allowed", upsert("fine", hash_message(1, values[1]), source="reviewer"))
    eventually(lambda: workers[1].status().worker.sequence == done.sequence, BOUND_S)
    for where in ({}, {"banks": [NARROW]}):
        response = workers[1].lookup(hash_type=1, hashes=b"".join(values), **where)
        assert {match.query for match in response.matches} == {0, 2}
        (allowed,) = response.allowed
        assert (allowed.query, allowed.bank, allowed.entry_id, allowed.source) == (1, "allowed", "fine", "reviewer")
    for allowlist in (False, True):
        update(workers[0], "allowed", allowlist=allowlist)
        updated_s = perf_counter()

        def followed(stubs: Stubs, allowlist: bool = allowlist) -> bool:
            return set(matched(stubs, values[1])) == (set() if allowlist else before[1] | {"fine"})

        assert seconds_until_all(workers, followed, updated_s) < BOUND_S
    update(workers[0], "allowed", enabled=False)
    eventually(lambda: set(matched(workers[1], values[1])) == before[1], BOUND_S)
    assert not workers[1].lookup(hash_type=1, hashes=values[1]).allowed
