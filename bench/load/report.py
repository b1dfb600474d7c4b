"""Turn the records of loads into bench/LOAD.md and plots.

python -m bench.load.report
"""

from __future__ import annotations

import json
import statistics
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from bench.load.http_peer import PEERS
from bench.load.latencies import decoded
from bench.load.steady import BATCH
from bench.measure import HERE, RECORDS

__all__ = ["main"]

PLOTS = HERE / "plots"
MB = 1e6
Record = Mapping[str, Any]


def main() -> None:
    """Write the page and the plots."""
    PLOTS.mkdir(exist_ok=True)
    records = [json.loads(path.read_text()) for path in sorted(RECORDS.glob("load-*.json"))]
    steady = [record for record in records if "half_of_peak" in record and "workers" in record]
    page = [*_header(records), *_peaks(steady), *_latencies(steady)]
    for record in records:
        kind = record["scenario"].split("-")[0]
        if kind in _SECTIONS:
            page += _SECTIONS[kind](record)
    (HERE / "LOAD.md").write_text("\n".join(page) + "\n")


def _header(records: list[Record]) -> Iterator[str]:
    machine = records[0]["machine"]
    versions = {name: machine["versions"][name] for name in ("grpcio", "protobuf", "numpy", "numba")}
    yield "# The server under load, measured"
    yield from _paragraph(
        "Made by `make bench-load` from `records/`. One worker has core 0 for itself and the generator core 1; "
        "two workers and the generator share both, and each worker has a port of its own, by which connections are "
        "shared out evenly. *CPU share of the generator* is of one core. Half of what is "
        "asked is compared with an **echo**: a method of the same server, through the same interceptors and "
        "threads, that returns its request. One lookup in sixteen matches; requests differ all the time, except "
        "with h2load, which sends the same over and over."
    )
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    yield from _paragraph(
        f"{machine['cpu']} (family {machine['family']}, {machine['cpus']} cores), Python {machine['python']}, "
        f"{told}, seed {records[0]['seed']}. The machine is shared: compare within a row."
    )


def _peaks(records: list[Record]) -> Iterator[str]:
    yield ""
    yield "## Peak of a closed loop"
    yield from _paragraph(
        f"Calls per second; a batch has {BATCH} hashes. *Index alone* is the same worker searching its own index "
        "on as many threads as calls were under way, without messages, banks and entries. All of them in turn, six "
        "rounds each: medians, and of the ratios within a round the least and the largest, too. Two workers compete "
        "with the generator in Python for both cores, so that their ratios to the echo say little."
    )
    yield ""
    yield (
        "| list | workers | echo | single | of echo | h2load: single of echo | CPU per call, us: echo, single |"
        " batch, hashes/s | of index alone | generator's CPU | memory of workers, MB (PSS) |"
    )
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for record in records:
        echo, single, batch = (record["peak"][name] for name in ("echo", "single", "batch"))
        independent, ratios = record["h2load_calls_per_s"], record["ratios_by_round"]
        yield (
            f"| {record['list']} | {record['workers']} | {echo['ok_per_s']:,.0f} | {single['ok_per_s']:,.0f} "
            f"| {_ranged(ratios['single of echo'], '.0%')} "
            f"| {independent['single'] / independent['echo']:.0%} of {independent['echo']:,.0f} "
            f"| {echo['server_cpu_us_per_call']:.0f}, {single['server_cpu_us_per_call']:.0f} "
            f"| {batch['ok_per_s'] * BATCH:,.0f} | {_ranged(ratios['batch of index alone'], '.0%')} "
            f"| {single['client_cpu_share']:.0%} | {record['workers_pss_bytes'] / MB:,.0f} |"
        )


def _ranged(ratios: Sequence[float], form: str) -> str:
    """Return the median of ratios, and their range."""
    return f"{statistics.median(ratios):{form}} ({min(ratios):{form}} to {max(ratios):{form}})"


def _latencies(records: list[Record]) -> Iterator[str]:
    yield ""
    yield "## Latency of an open loop at half of the peak"
    yield from _paragraph(
        "Calls of single hashes arrive evenly, at half of the peak, answered or not; latency counts from when a "
        "call was due. Single and echo in turn, six rounds each; p99 is the rounds' median. *Noise* is the ratio "
        "of the p99 of odd and even rounds of the same load: a ratio between loads that is smaller says nothing."
    )
    yield ""
    yield "| list | workers | calls/s | | p50, ms | p99, ms | p99.9, ms | worst, ms | p99 of echo's | noise |"
    yield "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for record in records:
        loads = record["half_of_peak"]
        for name, load in loads.items():
            ratio = load["median_p99_ms"] / loads["echo"]["median_p99_ms"]
            yield (
                f"| {record['list']} | {record['workers']} | {load['ok_per_s']:,.0f} | {_latency_cells(name, load)} "
                f"| {ratio:.1f} | {load['noise']:.1f} |"
            )
        _plot(record["scenario"], loads)
    yield ""
    for record in records:
        yield f"![](plots/load-{record['scenario']}.png)"


def _reloads(record: Record) -> Iterator[str]:
    beside_flipping, beside_publishing = record["beside_flipping"], record["beside_publishing"]
    _plot(record["scenario"], beside_flipping | {"publishing": beside_publishing["publishing"]})
    yield ""
    yield f"## During continuous reloads: {record['list']}"
    yield from _paragraph(
        f"One worker at half of its peak, {record['calls_per_s']:,.0f} calls/s. Alone and, in turn, *flipping* between "
        f"two generations ({record['reloads']['flipping']} reloads). Then alone and, in turn, *publishing* one "
        f"generation after the other, each with {record['changes_per_publish']} changes "
        f"({record['reloads']['publishing']} of them), by builds that share the worker's core."
    )
    yield ""
    yield "| | p50, ms | p99, ms | p99.9, ms | worst, ms | p99 of alone's | noise | failed |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for loads in (beside_flipping, beside_publishing):
        for name, load in loads.items():
            failed = sum(load["statuses"].values()) - load["statuses"]["OK"]
            ratio = load["median_p99_ms"] / loads["alone"]["median_p99_ms"]
            yield f"| {_latency_cells(name, load)} | {ratio:.2f} | {load['noise']:.2f} | {failed} |"
    before, after = (
        f"{of['slow_share']:.1%} of the time, {of['longest_s']:.2f} s at the longest, and {of['worst_times']:.0f} times"
        for of in record["machine_stalls"]
    )
    yield from _paragraph(
        f"How the machine itself stalls, on the worker's core while nothing runs (`stalls.py`): memory takes more than "
        f"three times as long for {before} at worst; afterwards for {after}."
    )
    yield ""
    yield f"![](plots/load-{record['scenario']}.png)"


def _overload(record: Record) -> Iterator[str]:
    at_peak, below, above = (record[name] for name in ("peak", "at 80 % of peak", "above the peak"))
    goodput = record["goodput_by_round"]
    of_peak, of_below = (
        statistics.median(ours / theirs for ours, theirs in zip(*by_round, strict=True))
        for by_round in ((above["p99_ms_by_round"], other["p99_ms_by_round"]) for other in (at_peak, below))
    )
    before, after = (f"{size_bytes / MB:,.0f} MB" for size_bytes in record["worker_pss_bytes"])
    yield ""
    yield (
        f"## {record['times']} times the peak: {record['list']}, {_named(record['batch'])}, "
        f"deadline {record['deadline_s']:g} s, {record['connections']} connections"
        + (", behind Envoy" if record["proxied"] else "")
    )
    yield from _paragraph(
        f"{len(goodput)} rounds of the peak in a closed loop, 80 % of it in an open one, and {record['times']} times "
        f"the peak for {record['overload_s']:g} s; medians, and ratios within a round. "
        f"Peak {at_peak['ok_per_s']:.0f} calls/s. Answered OK in time during the overload: "
        f"{above['ok_per_s']:.0f} calls/s, **{statistics.median(goodput):.0%} of the peak** "
        f"({min(goodput):.0%} to {max(goodput):.0%}); p99 of those {above['median_p99_ms']:.0f} ms, "
        f"**{of_peak:.1f} times** that at the peak, {at_peak['median_p99_ms']:.0f} ms, and {of_below:.1f} times that "
        f"at 80 % of it, {below['median_p99_ms']:.0f} ms. Above the peak: {_counted(above['statuses'])}; 80 %: "
        f"{_counted(below['statuses'])}. Health: {_counted(record['health'])}. Memory of the worker: {before} before, "
        f"{after} after."
    )


def _flood(record: Record) -> Iterator[str]:
    at_peak, above = (record["medians"][name] for name in ("peak", "above the peak"))
    goodput, slower = (
        [told["above the peak"][fact] / told["peak"][fact] for told in record["rounds"]]
        for fact in ("ok_per_s", "p99_ms")
    )
    yield ""
    yield f"## {record['times']} times the peak behind Envoy, by h2load: {record['list']}, {_named(record['batch'])}"
    yield from _paragraph(
        f"{len(goodput)} rounds of {record['round_s']:g} s of the peak, with {record['calls_under_way']} calls under "
        f"way, and of {record['times']} times the peak; medians, and ratios within a round. Envoy shares the "
        f"generator's core, with precedence. Peak {at_peak['ok_per_s']:,.0f} calls/s. Of {above['sent_per_s']:,.0f} "
        f"calls/s then {above['ok_per_s']:,.0f} were answered OK, **{statistics.median(goodput):.0%} of the peak** "
        f"({min(goodput):.0%} to {max(goodput):.0%}), the others refused; p99 of what Envoy let through "
        f"{above['p99_ms']:.0f} ms, **{statistics.median(slower):.1f} times** that at the peak, "
        f"{at_peak['p99_ms']:.0f} ms. Health: {_counted(record['health'])}."
    )


def _start(record: Record) -> Iterator[str]:
    yield ""
    yield f"## From the command to SERVING: {record['list']}"
    yield from _paragraph("Compiled kernels from the cache, files in the page cache.")
    yield ""
    for workers, start in record["by_workers"].items():
        yield f"- workers {workers}: median {start['median_s']:.2f} s, worst {start['worst_s']:.2f} s"


def _http(record: Record) -> Iterator[str]:
    medians, ratios = record["medians"], record["ratios_by_round"]
    yield ""
    yield f"## Beside an HTTP service in the shape of HMA: {record['list']}"
    yield from _paragraph(
        "`GET /m/raw_lookup`, one PDQ hash a request, the `threatexchange` package's PDQIndex on one OpenMP "
        "thread, behind gunicorn's sync workers. *As HMA*, each request asks PostgreSQL whether the type of the hash "
        "is switched off, and the hash is validated; *bare*, nothing is left but Flask and the index. "
        f"{record['workers']} workers each, and everything on two cores, the generator and PostgreSQL, too. Single "
        "hashes are the same over and over, by h2load over 16 connections. Beside batches, which differ all the time, "
        "the peers are asked for different hashes, too. All take turns, in "
        f"{len(record['rounds'])} rounds: medians, and of the ratios within a round the least and the largest, too. "
        "100 answers of ours are compared with the peers' first, and are the same."
    )
    yield ""
    yield f"| | NearHash | {' | '.join(f'peer {name} | ratio' for name in PEERS)} |"
    yield f"| --- | ---: | {' | '.join('---: | ---:' for _ in PEERS)} |"
    for fact, label, unit, digits in (
        ("same_per_s", "single hashes per second", 1, 1),
        ("different_per_s", f"different ones, here in batches of {BATCH}", 1, 0),
        ("pss_bytes", "memory of the workers, MB (PSS)", MB, 2),
        ("rss_bytes", "memory of the workers, MB (RSS)", MB, 2),
    ):
        ours, *theirs = (f"{medians[name][fact] / unit:,.0f}" for name in ("ours", *PEERS))
        ratio = (_ranged(ratios[name][fact], f".{digits}f") for name in PEERS)
        yield f"| {label} | {ours} | {' | '.join(f'{peer} | {of}' for peer, of in zip(theirs, ratio, strict=True))} |"


_SECTIONS = {"reloads": _reloads, "overload": _overload, "flood": _flood, "start": _start, "http": _http}


def _latency_cells(name: str, load: Record) -> str:
    of = load["latency_ms"]
    return f"{name} | {of['p50']:.2f} | {load['median_p99_ms']:.2f} | {of['p99.9']:.1f} | {of['p100']:.1f}"


def _named(batch: int) -> str:
    return f"batches of {batch}" if batch > 1 else "single hashes"


def _paragraph(text: str) -> Iterator[str]:
    yield ""
    yield textwrap.fill(text, 118, break_on_hyphens=False)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _plot(name: str, loads: Mapping[str, Record]) -> None:
    """Draw how many calls took how long, and the latency by percentile, the latter far into the tail."""
    figure, (density, tail) = plt.subplots(1, 2, figsize=(10, 3.6))
    rare = np.logspace(0, -4, 200)
    for load_name, load in loads.items():
        histogram = decoded(load["histogram"])
        items = [
            (item.value_iterated_to / 1000, item.count_at_value_iterated_to)
            for item in histogram.get_recorded_iterator()
        ]
        latency_ms, counts = map(np.array, zip(*items, strict=True))
        bins = np.logspace(-1, 3, 80)
        density.hist(latency_ms, bins=bins, weights=counts / counts.sum(), histtype="step", label=load_name)
        tail.plot(1 / rare, [histogram.get_value_at_percentile(100 * (1 - r)) / 1000 for r in rare], label=load_name)
    density.set(xscale="log", xlabel="latency, ms", ylabel="share of calls", title=name)
    tail.set(xscale="log", yscale="log", xlabel="one call in", ylabel="takes longer than, ms")
    for axes in (density, tail):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.tight_layout()
    figure.savefig(PLOTS / f"load-{name}.png", dpi=100)
    plt.close(figure)


if __name__ == "__main__":
    main()
