"""A few hashes are answered as they would be among others, whichever way their call goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import grpc
import pytest

from nearhash.v1 import lookup_pb2
from nearhash_index import calibration
from nearhash_index.codes import codes_from_bytes
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.quick_lookup import QuickLookup
from nearhash_index.store import DataDirectory, Generation
from nearhash_service.access.followed_callers import FollowedCallers
from nearhash_service.answering.lookup_service import LookupService
from nearhash_service.config import Caller
from nearhash_service.metrics.instruments import Instruments
from nearhash_service.scheduling import admission
from nearhash_service.server import Server

from .calls import RNG, apply, change, hash_message, upsert
from .metrics.scraped import Scraped
from .running import Stubs, connected, eventually
from .sample import EMPTY, NARROW, WIDE, WIDE_RADII, flipped, make_sample, write_sample

FAR = b"\x0f\x35\x96\xc3\x5a\x69\xa5\x3c"


@pytest.fixture(scope="module")
def large_sample():
    return make_sample(per_type=700)


@pytest.fixture
def tables(monkeypatch) -> None:
    """Let samples of some thousand hashes have tables."""
    monkeypatch.setattr(calibration, "brute_force_ns", lambda words, radius: 1000.0 * words + radius)


@pytest.fixture
def usual_ways(monkeypatch) -> list[int]:
    """One item for each call that went the usual way."""
    seen = []
    usual = LookupService.Lookup

    def counting(self, request, context):
        seen.append(len(request.hashes))
        return usual(self, request, context)

    monkeypatch.setattr(LookupService, "Lookup", counting)
    return seen


@pytest.fixture
def served(tmp_path, data, usual_ways):
    del usual_ways
    with serving(tmp_path, DataDirectory(data)) as served:
        yield served


@pytest.fixture
def served_from_tables(tmp_path, large_sample, tables, usual_ways):
    del tables, usual_ways
    with serving(tmp_path, write_sample(tmp_path / "data", large_sample)) as served:
        yield served


@contextmanager
def serving(path: Path, directory: DataDirectory) -> Iterator[tuple[Stubs, Callable[[], Scraped]]]:
    """Yield stubs for a server, and what scrapes it."""
    instruments, address = Instruments(), f"unix:{path}/socket"
    with Server(directory, address, instruments=instruments), connected(address) as stubs:
        yield stubs, lambda: Scraped([*instruments.own.collect(), *instruments.joint.collect()])


def look_up(stubs: Stubs, number: int, value: bytes, **fields: object) -> bytes:
    """Return the answer as it is on the wire."""
    request = lookup_pb2.LookupRequest(hash_type=number, hashes=value, **fields)
    method = stubs.channel.unary_unary("/nearhash.v1.LookupService/Lookup")
    return method(request.SerializeToString(), timeout=20)


@pytest.mark.parametrize("hash_type", HASH_TYPES.values(), ids=str)
def test_answers_are_the_same_to_the_byte(served_from_tables, large_sample, usual_ways, hash_type):
    size = hash_type.size_bytes
    values = [*large_sample.hashes(hash_type)[:40], *(RNG.bytes(size) for _ in range(40)), bytes(size), b"\xff" * size]
    stubs, _ = served_from_tables
    matched = unsearchable = 0
    for value in values:
        # What it says is the default, so the answer is the same; but it is not the commonest message.
        usual = look_up(stubs, hash_type.number, value, max_matches_per_hash=100)
        before = len(usual_ways)
        assert look_up(stubs, hash_type.number, value) == usual
        answer = lookup_pb2.LookupResponse.FromString(usual)
        assert len(usual_ways) == before + len(answer.unsearchable)
        matched += bool(answer.matches)
        unsearchable += len(answer.unsearchable)
    assert (matched, unsearchable) == (40, 2 if hash_type.perceptual else 0)


@pytest.mark.parametrize("hash_type", HASH_TYPES.values(), ids=str)
def test_several_together_are_answered_alike(served_from_tables, large_sample, usual_ways, hash_type):
    size = hash_type.size_bytes
    values = [value for listed in large_sample.hashes(hash_type)[:40] for value in (listed, RNG.bytes(size))]
    stubs, _ = served_from_tables
    matches = 0
    for count in (2, 3, 12, 16):
        for begin in range(0, 80 - count, count):
            # The first ones near nothing, now and then.
            packed = b"".join(values[begin : begin + count] if begin % 3 else values[1 : 2 * count : 2])
            usual = look_up(stubs, hash_type.number, packed, max_matches_per_hash=100)
            before = len(usual_ways)
            assert look_up(stubs, hash_type.number, packed) == usual
            assert len(usual_ways) == before
            matches += len(lookup_pb2.LookupResponse.FromString(usual).matches)
    assert matches > 40
    packed = b"".join([values[1], bytes(size), values[0]])
    usual = look_up(stubs, hash_type.number, packed, max_matches_per_hash=100)
    assert look_up(stubs, hash_type.number, packed) == usual
    assert len(lookup_pb2.LookupResponse.FromString(usual).unsearchable) == hash_type.perceptual


def test_what_is_asked_beside_holds_for_few_hashes_and_in_every_block(served_from_tables, large_sample, monkeypatch):
    hash_type = HASH_TYPES["phash64"]
    listed = large_sample.hashes(hash_type)
    # Of the first one there are several matches.
    copies = max(listed, key=lambda value: len(large_sample.expected(hash_type, [value])))
    packed = copies + RNG.bytes(8) + b"".join(listed[:4])
    stubs, _ = served_from_tables

    def answers() -> list[lookup_pb2.LookupResponse]:
        fields = (
            {"radius": 1},
            {"max_matches_per_hash": 1},
            {"banks": [WIDE]},
            {"min_sequence": 1},
            {"every_hash": True},
        )
        return [lookup_pb2.LookupResponse.FromString(look_up(stubs, 1, packed, **each)) for each in fields]

    quick = answers()
    monkeypatch.setattr(admission, "_BLOCK_S", 1e-9)
    assert answers() == quick
    monkeypatch.setattr(QuickLookup, "find", lambda *_: None)
    assert answers() == quick
    _, at_most_one, *_ = quick
    assert list(at_most_one.truncated)[:1] == [0]
    assert {match.query for match in at_most_one.matches} == {0, 2, 3, 4, 5}
    assert all(match.hash_count for match in quick[-1].matches)


def test_more_than_a_few_go_the_usual_way(served, usual_ways):
    stubs, _ = served
    for count in (16, 17):
        assert look_up(stubs, 1, FAR * count)
    assert usual_ways == [17 * len(FAR)]


def test_where_there_are_no_tables_matches_go_the_usual_way(served, sample, usual_ways):
    stubs, _ = served
    for value in sample.hashes(HASH_TYPES["phash64"], WIDE)[:10]:
        assert lookup_pb2.LookupResponse.FromString(look_up(stubs, 1, value)).matches
    assert len(usual_ways) == 10


def test_a_caller_who_may_read_hashes_is_told_them(tmp_path, large_sample, tables, usual_ways):
    del tables
    reader = Caller(name="reader", roles=("lookup",), read_hashes=True, token_sha256=(sha256(b"reader").hexdigest(),))
    address = f"unix:{tmp_path}/socket"
    server = Server(write_sample(tmp_path / "data", large_sample), address, callers=FollowedCallers([reader]))
    with server, connected(address) as stubs:
        method = stubs.channel.unary_unary("/nearhash.v1.LookupService/Lookup")
        for value in large_sample.hashes(HASH_TYPES["phash64"], WIDE)[:10]:
            request = lookup_pb2.LookupRequest(hash_type=1, hashes=value).SerializeToString()
            answer = method(request, timeout=20, metadata=(("authorization", "Bearer reader"),))
            assert value in {match.hash for match in lookup_pb2.LookupResponse.FromString(answer).matches}
    assert len(usual_ways) == 10


def test_messages_that_only_resemble_it_go_the_usual_way(served, usual_ways):
    stubs, _ = served
    assert look_up(stubs, 1, FAR)
    assert usual_ways == []
    for fields in ({"radius": 8}, {"banks": [WIDE]}, {"min_sequence": 1}, {"every_hash": True}):
        assert look_up(stubs, 1, FAR, **fields)
    assert len(usual_ways) == 4
    for number, value in ((1, FAR[:7]), (1, FAR * 2 + b"0"), (1, FAR * 16 + b"0"), (5, FAR), (1, b""), (99, FAR)):
        with pytest.raises(grpc.RpcError) as raised:
            look_up(stubs, number, value)
        assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    method = stubs.channel.unary_unary("/nearhash.v1.LookupService/Lookup")
    # The first bytes, but another length than they say; and so many bytes as a usual one has, of another field.
    for begin in (
        b"\x08\x01\x12\x07",
        b"\x08\x01\x12\x10",
        b"\x08\x01\x12\x80\x01",
        b"\x08\x01\x12",
        b"\x08\x01\x42\x08",
    ):
        with pytest.raises(grpc.RpcError) as raised:
            method(begin + FAR, timeout=20)
        assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_changes_are_in_its_answers(served):
    stubs, _ = served

    def answer() -> lookup_pb2.LookupResponse:
        return lookup_pb2.LookupResponse.FromString(look_up(stubs, 1, FAR))

    before = answer()
    assert not before.matches
    added = apply(stubs, EMPTY, upsert("added", hash_message(1, FAR)))
    eventually(lambda: answer().sequence > before.sequence)
    assert [match.entry_id for match in answer().matches] == ["added"]
    assert added
    apply(stubs, EMPTY, change("withdraw", "added"))
    eventually(lambda: answer().sequence > before.sequence + 1)
    assert not answer().matches


def test_it_is_counted_as_others_are(tmp_path, served_from_tables, large_sample, usual_ways):
    stubs, scrape = served_from_tables
    value = large_sample.hashes(HASH_TYPES["phash64"], NARROW)[0]
    rows = large_sample.expected(HASH_TYPES["phash64"], [value])
    for packed in (FAR, FAR * 3, FAR + value + FAR):
        look_up(stubs, 1, packed)
    assert usual_ways == []
    scraped = scrape()
    of_type = {"hash_type": "phash64"}
    assert scraped.values("nearhash_queries_total", **of_type) == {(): 7}
    assert scraped.values("nearhash_bank_lookups_total", **of_type) == {(NARROW,): 7, (WIDE,): 7, (EMPTY,): 7}
    matched = scraped.values("nearhash_bank_matched_lookups_total", **of_type)
    assert matched == {(bank,): 1 for _, _, bank, *_ in rows}
    assert scraped.values("nearhash_bank_match_distance_count", **of_type) == Counter((row[2],) for row in rows)
    assert scraped.total("grpc_server_handled_total", grpc_code="OK") == 3
    assert scraped.values("nearhash_query_candidates_count", **of_type) == {(): 1}
    directory = DataDirectory(tmp_path / "data")
    index = Generation.open(directory.generation_path(directory.current().number)).segments["phash64"].index
    met = index.count_candidates(codes_from_bytes(FAR, HASH_TYPES["phash64"]), WIDE_RADII["phash64"])
    assert scraped.total("nearhash_query_candidates_sum", **of_type) == met > 0


def test_each_caller_is_answered_from_banks_of_its_own(tmp_path, data, sample):
    callers = [
        Caller(name=bank, roles=("lookup",), banks=(bank,), token_sha256=(sha256(bank.encode()).hexdigest(),))
        for bank in (NARROW, WIDE)
    ]
    address = f"unix:{tmp_path}/socket"
    with Server(DataDirectory(data), address, callers=FollowedCallers(callers)), connected(address) as stubs:
        method = stubs.channel.unary_unary("/nearhash.v1.LookupService/Lookup")

        def banks_found(caller: str, value: bytes) -> set[str]:
            request = lookup_pb2.LookupRequest(hash_type=1, hashes=value).SerializeToString()
            answer = method(request, timeout=20, metadata=(("authorization", f"Bearer {caller}"),))
            return {match.bank for match in lookup_pb2.LookupResponse.FromString(answer).matches}

        # What the first one is told fast, within the radius of its bank, is not to be told to the other.
        assert banks_found(NARROW, FAR) == set()
        assert banks_found(WIDE, FAR) == set()
        for value in sample.hashes(HASH_TYPES["phash64"], WIDE)[:20]:
            near = flipped(RNG, value, WIDE_RADII["phash64"])
            assert banks_found(NARROW, near) == set()
            assert banks_found(WIDE, near) == {WIDE}


def test_callers_have_their_banks_and_limits(tmp_path, data):
    def caller(name: str, **fields: object) -> Caller:
        return Caller(name=name, roles=("lookup",), token_sha256=(sha256(name.encode()).hexdigest(),), **fields)

    callers = [
        caller("wide", banks=(WIDE,)),
        caller("slow", queries_per_second=1),
        caller("bulk", bulk_only=True),
    ]
    address, instruments = f"unix:{tmp_path}/socket", Instruments()
    server = Server(DataDirectory(data), address, callers=FollowedCallers(callers), instruments=instruments)
    with server, connected(address) as stubs:
        method = stubs.channel.unary_unary("/nearhash.v1.LookupService/Lookup")
        request = lookup_pb2.LookupRequest(hash_type=1, hashes=FAR).SerializeToString()

        def code(*names: str) -> list[str]:
            calls = [
                method.future(request, timeout=20, metadata=(("authorization", f"Bearer {name}"),)) for name in names
            ]
            return sorted(call.code().name for call in calls)

        assert code("wide") == ["OK"]
        lookups = Scraped(instruments.joint.collect()).values("nearhash_bank_lookups_total")
        assert lookups == {(WIDE, "phash64"): 1}
        assert code("nobody") == ["UNAUTHENTICATED"]
        assert code("bulk") == ["PERMISSION_DENIED"]
        # What one second brings, and the one that goes into debt.
        assert code(*["slow"] * 20).count("RESOURCE_EXHAUSTED") > 10
