"""nearhash top."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Annotated

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table

from nearhash_service.cli.printing import output, table
from nearhash_service.metrics.reading import Between, Scrape

__all__ = ["app"]

app = typer.Typer()

_DEFAULT_URL = "http://127.0.0.1:9464/metrics"
_SECONDS = "grpc_server_handling_seconds"


@app.command()
def top(
    urls: Annotated[
        list[str] | None, typer.Argument(metavar="[URL]...", help=f"Metrics of servers. Without any: {_DEFAULT_URL}")
    ] = None,
    every_s: Annotated[float, typer.Option(min=0.1, help="Seconds between looks.")] = 2.0,
    times: Annotated[int | None, typer.Option(min=1, help="End after so many looks; without it, with Ctrl-C.")] = None,
) -> None:
    """Follow in the terminal what servers do: calls, times, matches, by worker and by bank.

    Needs the setting metrics.listen of the server; `nearhash watch` follows what is published.

    Example: nearhash top http://127.0.0.1:9464/metrics
    """
    asked = urls or [_DEFAULT_URL]
    last = {url: Scrape.of(url) for url in asked}
    with suppress(KeyboardInterrupt), Live(console=output, auto_refresh=False) as live:
        while times is None or times > 0:
            time.sleep(every_s)
            now = {url: Scrape.of(url) for url in asked}
            live.update(_shown({url: (Between(last[url], now[url]), now[url]) for url in asked}), refresh=True)
            last = now
            times = times and times - 1


def _shown(seen: dict[str, tuple[Between, Scrape]]) -> Group:
    return Group(_worker_table(seen), _bank_table(seen))


def _worker_table(seen: dict[str, tuple[Between, Scrape]]) -> Table:
    numbers = (
        *("calls/s", "hashes/s", "p50 ms", "p99 ms", "failed/s", "refused/s"),
        *("generation", "lag", "read s ago", "cores", "MB"),
    )
    made = table("server", "worker", *numbers, right=numbers)
    for url, (between, now) in seen.items():
        server = url.split("/")[2] if "//" in url else url
        for worker in sorted(now.values("nearhash_generation", "worker"), key=int):
            of = {"worker": worker}
            made.add_row(
                *(server, worker, *_calls(between, of), ""),
                f"{now.value('nearhash_generation', **of):.0f}",
                f"{now.value('nearhash_sequence_lag', **of):,.0f}",
                f"{now.value('nearhash_changes_age_seconds', **of):.1f}",
                f"{between.rate('process_cpu_seconds_total', **of):.2f}",
                f"{now.value('process_resident_memory_bytes', **of) / 1e6:,.0f}",
            )
        made.add_row(server, "all", *_calls(between, {}), f"{between.rate('nearhash_refused_total'):,.1f}")
    return made


def _calls(between: Between, of: dict[str, str]) -> tuple[str, ...]:
    calls = between.rate("grpc_server_handled_total", **of)
    return (
        f"{calls:,.0f}",
        f"{between.rate('nearhash_queries_total', **of):,.0f}",
        _milliseconds(between.quantile(0.5, _SECONDS, grpc_method="Lookup", **of)),
        _milliseconds(between.quantile(0.99, _SECONDS, grpc_method="Lookup", **of)),
        f"{calls - between.rate('grpc_server_handled_total', grpc_code='OK', **of):,.1f}",
    )


def _bank_table(seen: dict[str, tuple[Between, Scrape]]) -> Table:
    numbers = ("hashes/s", "matched/s", "matched per million", "entries/s")
    made = table("bank", "type", *numbers, right=numbers)
    kinds = {
        (bank, hash_type)
        for _, now in seen.values()
        for bank in now.values("nearhash_bank_lookups_total", "bank")
        for hash_type in now.values("nearhash_bank_lookups_total", "hash_type", bank=bank)
    }
    for bank, hash_type in sorted(kinds):
        of = {"bank": bank, "hash_type": hash_type}

        def rate(name: str, of: dict[str, str] = of) -> float:
            return sum(between.rate(name, **of) for between, _ in seen.values())

        lookups, matched = rate("nearhash_bank_lookups_total"), rate("nearhash_bank_matched_lookups_total")
        if lookups:
            entries = rate("nearhash_bank_match_distance_count")
            made.add_row(
                bank,
                hash_type,
                f"{lookups:,.0f}",
                f"{matched:,.1f}",
                f"{1e6 * matched / lookups:,.0f}",
                f"{entries:,.1f}",
            )
    return made


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:,.2f}"
