"""What is counted of real lookups, compared with what comparing with every entry gives."""

from collections import Counter

import numpy as np
import pytest

from nearhash.v1.lookup_pb2 import LookupResponse
from nearhash_index import calibration
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import DataDirectory
from nearhash_service.metrics.instruments import Instruments
from nearhash_service.metrics.lookups import LookupCounts, distance_bounds
from nearhash_service.scheduling import admission
from nearhash_service.server import Server

from ..calls import apply, create, hash_message, upsert
from ..running import connected, eventually
from ..sample import EMPTY, NARROW, WIDE
from .scraped import Scraped


@pytest.fixture
def counted(tmp_path, data):
    instruments = Instruments()
    address = f"unix:{tmp_path}/socket"
    with Server(DataDirectory(data), address, instruments=instruments), connected(address) as stubs:
        yield stubs, lambda: Scraped([*instruments.own.collect(), *instruments.joint.collect()])


@pytest.mark.parametrize("name", ["phash64", "pdq256", "md5"])
def test_matches_are_counted_per_bank_by_distance(counted, sample, name, monkeypatch):
    stubs, scrape = counted
    hash_type = HASH_TYPES[name]
    hashes = sample.hashes(hash_type)
    # All in one block, and each in one of its own.
    for block_s in (10.0, 1e-9):
        monkeypatch.setattr(admission, "_BLOCK_S", block_s)
        stubs.lookup(hash_type=hash_type.number, hashes=b"".join(hashes))
    expected = sample.expected(hash_type, hashes)
    scraped = scrape()
    assert scraped.total("nearhash_queries_total", hash_type=name) == 2 * len(hashes)
    of_type = {"hash_type": name}
    assert scraped.values("nearhash_bank_lookups_total", **of_type) == {
        (bank,): 2 * len(hashes) for bank in (NARROW, WIDE, EMPTY)
    }
    distances = {bank: Counter(row[1] for row in expected if row[2] == bank) for bank in (NARROW, WIDE)}
    assert sum(n for d, n in distances[WIDE].items() if d > 0) > 10
    for bank, counts in distances.items():
        for bound in distance_bounds(hash_type):
            at_most = sum(n for d, n in counts.items() if d <= bound)
            labels = {"bank": bank, "le": f"{bound}.0"}
            assert scraped.values("nearhash_bank_match_distance_bucket", **labels, **of_type) == {(): 2 * at_most}
        assert scraped.total("nearhash_bank_match_distance_count", bank=bank) == 2 * counts.total()
        assert scraped.total("nearhash_bank_match_distance_sum", bank=bank) == 2 * sum(d * n for d, n in counts.items())
        matched = len({row[0] for row in expected if row[2] == bank})
        assert scraped.values("nearhash_bank_matched_lookups_total", bank=bank, **of_type) == {(): 2 * matched}


def test_only_banks_that_were_searched_count(counted, sample):
    stubs, scrape = counted
    value = sample.hashes(HASH_TYPES["phash64"], NARROW)[0]
    stubs.lookup(hash_type=1, hashes=value, banks=[WIDE])
    assert scrape().values("nearhash_bank_lookups_total") == {(WIDE, "phash64"): 1}


def test_banks_count_the_same_however_many_sets_of_them_are_asked_for():
    counts, rng = LookupCounts(), np.random.default_rng(1)
    names = [f"bank-{i}" for i in range(12)]
    expected: Counter[tuple[str, str]] = Counter()
    for i in range(3000):
        name = ("phash64", "md5")[i % 2]
        banks = frozenset(bank for bank in names if rng.random() < 0.5)
        if i % 3:
            counts.count_few(HASH_TYPES[name], banks, 1 + i % 4)
        else:
            counts.count(HASH_TYPES[name], banks, 1 + i % 4, [], LookupResponse())
        expected.update({(bank, name): 1 + i % 4 for bank in banks})
        if i == 500:
            assert Scraped(counts.collect()).values("nearhash_bank_lookups_total") == expected
    assert Scraped(counts.collect()).values("nearhash_bank_lookups_total") == expected
    assert counts.queries.counts["md5"] == sum(1 + i % 4 for i in range(1, 3000, 2))


def test_a_degenerate_hash_is_a_query_but_no_lookup(counted):
    stubs, scrape = counted
    stubs.lookup(hash_type=1, hashes=bytes(8) + b"\x01\x23\x45\x67\x89\xab\xcd\xef")
    scraped = scrape()
    assert scraped.total("nearhash_queries_total", hash_type="phash64") == 2
    assert scraped.values("nearhash_unsearchable_total") == {("phash64",): 1}
    assert scraped.total("nearhash_bank_lookups_total", bank=WIDE) == 1


def test_what_is_cut_and_what_is_allowed_counts(counted, sample):
    stubs, scrape = counted
    hash_type = HASH_TYPES["phash64"]
    hashes = sample.hashes(hash_type, NARROW)
    several = next(row[0] for row in sample.expected(hash_type, hashes) if row[2] == WIDE)
    stubs.lookup(hash_type=1, hashes=hashes[several], max_matches_per_hash=1)
    assert scrape().values("nearhash_truncated_total") == {("phash64",): 1}
    create(stubs, "known-good", allowlist=True)
    apply(stubs, "known-good", upsert("good", hash_message(1, hashes[several])))
    sequence = stubs.status().sequence
    eventually(lambda: stubs.status().worker.sequence == sequence)
    response = stubs.lookup(hash_type=1, hashes=hashes[several], banks=[WIDE])
    assert len(response.allowed) == 1
    scraped = scrape()
    assert scraped.values("nearhash_bank_allowed_total") == {("known-good", "phash64"): 1}
    assert scraped.total("nearhash_bank_lookups_total", bank="known-good") == 1


def test_a_refused_lookup_counts_nothing(counted):
    stubs, scrape = counted
    before = scrape().total("nearhash_queries_total")
    with pytest.raises(Exception, match="there is no bank"):
        stubs.lookup(hash_type=1, hashes=bytes(range(8)), banks=["unknown"])
    assert scrape().total("nearhash_queries_total") == before == 0


@pytest.mark.parametrize("ns_per_code", [None, 2000.0], ids=["short searches", "long searches"])
def test_candidates_are_counted_of_one_lookup_in_a_hundred(counted, sample, monkeypatch, ns_per_code):
    if ns_per_code:
        monkeypatch.setattr(calibration, "brute_force_ns", lambda *_: ns_per_code)
    stubs, scrape = counted
    hashes = sample.hashes(HASH_TYPES["phash64"])
    for _ in range(101):
        stubs.lookup(hash_type=1, hashes=b"".join(hashes[:3]))
    of_type = {"hash_type": "phash64"}
    assert scrape().values("nearhash_query_candidates_count", **of_type) == {(): 2}
    # A list so small is compared with as a whole.
    assert scrape().values("nearhash_query_candidates_sum", **of_type) == {(): 2 * len(set(hashes))}
