"""Compare the index with other libraries: one run, one thread, equal lists and queries, answers checked.

    python -m bench.index_peers [work ...]

Times are medians per query of a batch. A work is one of WORKS; without any, all run. The truth is what NumPy finds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from bench import lists, peers
from bench.measure import rounds_us, save, seconds
from bench.natural_lists import natural

from nearhash_index import Index, brute_force
from nearhash_index.codes import Codes

SEED = 7
SECONDS_PER_RUN = 0.25
OUR_QUERIES = 4000

Makers = dict[str, Callable[[Codes], peers.Peer]]


@dataclass(frozen=True)
class Work:
    """A list to search, and the radius."""

    words: int
    radius: int
    n: int
    kind: str = "uniform"

    @property
    def name(self) -> str:
        """Name it for the command line and in records."""
        width = "pdq" if self.words == 4 else str(64 * self.words)
        return f"{width}-r{self.radius}-1e{len(str(self.n)) - 1}-{self.kind}"


WORKS = [
    Work(1, 8, 10**6),
    Work(1, 8, 10**7),
    Work(1, 10, 10**7),
    Work(4, 31, 10**6),
    Work(4, 31, 10**7),
    Work(1, 8, 10**6, "natural"),
    Work(4, 31, 10**6, "natural"),
    Work(1, 8, 10**6, "adversarial"),
]


def main(names: list[str]) -> None:
    """Run the works of these names, or all."""
    for work in WORKS:
        if not names or work.name in names:
            record = run(work)
            save(f"peers-{work.name}", record)


def run(work: Work) -> dict[str, Any]:
    """Time all peers that suit the work."""
    rng = np.random.default_rng(SEED)
    make = {"uniform": lists.uniform, "natural": natural, "adversarial": lists.adversarial}[work.kind]
    codes = make(rng, work.n, work.words)
    queries = lists.planted(rng, codes, make(rng, OUR_QUERIES // 2, work.words), work.radius)
    ours = peers.NearHash(codes, work.radius)
    told = ours.index.explain(work.radius)
    print(f"\n{work.name}: {told.path}, bands of {[b.bits for b in told.bands]} bits, thresholds {told.thresholds}")
    runs = {"NearHash": (lambda: ours.search(queries, work.radius), len(queries))}
    runs["NearHash brute force"] = _own_brute_force(ours.index, queries, work.radius)
    missed: dict[str, int] = {}
    built_s: dict[str, float] = {}
    truth = peers.NumPy(codes)
    for name, maker in peers_for(work).items():
        made: list[peers.Peer] = []
        built_s[name] = seconds(lambda made=made, maker=maker: made.append(maker(codes)))
        some = _as_many_as_time_allows(made[0], queries, work.radius)
        missed[name] = _missed(truth, made[0], some, work.radius)
        runs[name] = (lambda peer=made[0], some=some: peer.search(some, work.radius), len(some))
    missed["NearHash"] = _missed(truth, ours, queries[:64], work.radius)
    times = rounds_us(runs)
    for name, time_us in sorted(times.items(), key=lambda item: item[1]):
        ratio = time_us / times["NearHash"]
        print(f"  {name:34} {time_us:12.2f} us {ratio:9.1f}x  missed {missed.get(name, 0)}", flush=True)
    return {
        "work": work.name,
        "seed": SEED,
        "us_per_query": times,
        "missed": missed,
        "built_s": built_s,
        "bytes_per_hash": dict(told.bytes_per_hash),
        "path": told.path,
        "thresholds": told.thresholds,
        "probes": told.expected_probes,
        "candidates": told.expected_candidates,
    }


def peers_for(work: Work) -> Makers:
    """Return what to compare with. On 1e7 codes only what is built in reasonable time."""
    makers: Makers = {"FAISS BinaryFlat": peers.faiss_flat}
    if work.kind == "adversarial":
        return makers
    if work.words == 1:
        flips = work.radius // 4
        settings = [(4, 16, flips), (3, 21, work.radius // 3)]
        if work.n <= 10**6:
            settings += [(5, 12, work.radius // 5)]
    else:
        settings = [(16, 16, 1), (11, 23, 2), (8, 32, 3)] if work.n <= 10**6 else []
    for hashes, bits, flips in settings:
        makers[f"FAISS BinaryMultiHash {hashes}x{bits}"] = lambda codes, setting=(hashes, bits, flips): (
            peers.faiss_multi_hash(codes, *setting)
        )
    if work.n <= 10**6 and work.kind == "uniform":
        makers["FAISS BinaryHash 16, 2 flips"] = lambda codes: peers.faiss_hash(codes, 16, 2)
        makers["usearch exact, nearest 10"] = peers.Usearch
        makers["hexhamming"] = peers.HexHamming
        makers["NumPy"] = peers.NumPy
    if work.words == 4 and work.n <= 10**6:
        makers["threatexchange PDQIndex"] = peers.ThreatExchange
    return makers


def _own_brute_force(index: Index, queries: Codes, radius: int) -> tuple[Callable[[], object], int]:
    planes = index.arrays()["planes"]
    some = queries[:64]
    return (lambda: brute_force.scan(planes, some, radius)), len(some)


def _as_many_as_time_allows(peer: peers.Peer, queries: Codes, radius: int) -> Codes:
    peer.search(queries[:2], radius)
    each = seconds(lambda: peer.search(queries[:4], radius)) / 4
    return queries[: int(np.clip(SECONDS_PER_RUN / each, 4, len(queries)))]


def _missed(truth: peers.Peer, peer: peers.Peer, queries: Codes, radius: int) -> int:
    """Count the matches that a peer does not find. What it finds wrongly ends the run."""
    checked = queries[:64]
    missed = 0
    answers = (one.rows(one.search(checked, radius), len(checked)) for one in (truth, peer))
    for expected, found in zip(*answers, strict=True):
        if not set(found) <= set(expected):
            raise RuntimeError(f"{set(found) - set(expected)} lie beyond the radius")
        missed += len(set(expected) - set(found))
    return missed


if __name__ == "__main__":
    main(sys.argv[1:])
