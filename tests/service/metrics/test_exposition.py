"""Metrics of a running server with two workers, as Prometheus reads them."""

import os
import re
import signal
import subprocess

import grpc
import pytest

from ..calls import apply, release, rollback, upsert
from ..running import Running, command, connected, eventually, refused
from ..sample import EMPTY, NARROW, WIDE
from ..violations import refusal
from .scraped import Scraped


def metrics_of(running: Running) -> str:
    return re.search(r"metrics at (http://127\.0\.0\.1:\d+/metrics)$", running.log(), re.MULTILINE)[1]


@pytest.fixture
def running(serve, data) -> Running:
    return serve(data, "--workers", 2, "--set", "metrics.listen=127.0.0.1:0")


def test_all_workers_are_counted_and_counters_never_go_back(running):
    url = metrics_of(running)

    def scrape() -> Scraped:
        return Scraped.over_http(url)

    def lookups_over_new_connections(times: int) -> None:
        """Look up so often; each connection is accepted by one worker or the other."""
        for _ in range(times):
            with connected(running.address) as stubs:
                stubs.lookup(hash_type=5, hashes=bytes(range(32)))
                assert (
                    refusal(lambda: stubs.lookup(hash_type=5, hashes=b"x")).code() == grpc.StatusCode.INVALID_ARGUMENT
                )

    eventually(lambda: scrape().total("nearhash_workers") == 2)
    lookups_over_new_connections(20)
    scraped = scrape()
    lookup = {"grpc_method": "Lookup", "grpc_service": "nearhash.v1.LookupService"}
    assert scraped.total("grpc_server_handled_total", grpc_code="OK", **lookup) == 20
    assert scraped.total("grpc_server_handled_total", grpc_code="InvalidArgument", **lookup) == 20
    assert scraped.total("grpc_server_handling_seconds_count", **lookup) == 40
    assert scraped.total("nearhash_queries_total", hash_type="pdq256") == 20
    assert scraped.values("nearhash_bank_lookups_total", hash_type="pdq256") == {
        (bank,): 20 for bank in (NARROW, WIDE, EMPTY)
    }
    assert set(scraped.values("process_resident_memory_bytes")) == {("0",), ("1",), ("supervisor",)}

    with connected(running.address) as stubs:
        killed = stubs.status().worker.process_id
    scrape()
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: scrape().total("nearhash_worker_starts_total") == 3)
    eventually(lambda: scrape().total("nearhash_workers") == 2)
    assert scrape().total("nearhash_worker_crashes_total") == 1
    lookups_over_new_connections(5)
    scraped = scrape()
    assert scraped.total("nearhash_queries_total", hash_type="pdq256") == 25
    assert scraped.total("grpc_server_started_total", **lookup) == 50

    with subprocess.Popen(command("top", url, "--times", 1), stdout=subprocess.PIPE, text=True) as top:
        while top.poll() is None:
            lookups_over_new_connections(1)
        shown = top.communicate()[0]
    assert re.search(rf"^ {url.split('/')[2]} +0 +\S+ ", shown, re.MULTILINE)
    total = re.search(r" all +(\S+) +(\S+) +(\S+) +(\S+) +(\S+)", shown)
    assert min(float(shown.replace(",", "")) for shown in total.groups()) > 0
    assert re.search(rf"^ {WIDE} +pdq256 +\S+ +0.0 +0 +0.0", shown, re.MULTILINE)
    assert running.stop() == 0


def test_what_is_published_and_served_is_told(running):
    url = metrics_of(running)

    def served(name: str) -> dict[tuple[str, ...], float]:
        return Scraped.over_http(url).values(name)

    def of_both(value: float) -> dict[tuple[str, ...], float]:
        return {("0",): value, ("1",): value}

    with connected(running.address) as stubs:
        scraped = Scraped.over_http(url)
        status = stubs.status()
        assert scraped.values("nearhash_bank_entries") == {(bank.name,): bank.entry_count for bank in status.banks}
        assert scraped.values("nearhash_bank_enabled")["disabled",] == 0
        assert scraped.total("nearhash_bank_radius_bits", bank=WIDE, hash_type="pdq256") == 40
        assert scraped.total("nearhash_registry_sequence") == status.sequence
        assert scraped.total("nearhash_published_sequence") == status.current.sequence
        assert scraped.total("nearhash_published_timestamp_seconds") == pytest.approx(
            status.current.create_time.ToMilliseconds() / 1000, abs=1
        )
        assert scraped.total("nearhash_disk_bytes") == status.disk_size_bytes
        assert scraped.values("nearhash_storage_refuses") == {(): 0}
        assert scraped.values("nearhash_mapped_bytes") == of_both(status.current.size_bytes)
        assert max(scraped.values("nearhash_changes_age_seconds").values()) < 10

        apply(stubs, EMPTY, upsert("a"), upsert("b"))
        eventually(lambda: served("nearhash_delta_entries") == of_both(2))
        eventually(lambda: served("nearhash_sequence") == of_both(status.sequence + 2))
        assert served("nearhash_sequence_lag") == of_both(0)
        stubs.publish()
        eventually(lambda: served("nearhash_generation") == of_both(2))
        assert served("nearhash_reloads_total") == of_both(2)
        assert served("nearhash_builds_total") == {("published",): 1}
        assert served("nearhash_build_seconds_count") == {(): 1}
        rollback(stubs)
        eventually(lambda: served("nearhash_generation") == of_both(1))
        assert served("nearhash_pinned") == {(): 1}
        eventually(lambda: served("nearhash_sequence_lag") == of_both(2))
        release(stubs)
        eventually(lambda: served("nearhash_pinned") == {(): 0})
        assert served("nearhash_published_generation") == {(): 2}
    assert served("nearhash_reload_refused") == of_both(0)


def test_an_address_in_use_is_told_at_once(running, data):
    taken = metrics_of(running).split("/")[2]
    error = refused("--data", data, "--listen", "127.0.0.1:0", "--set", f"metrics.listen={taken}")
    assert error == f"error: metrics.listen: cannot listen on {taken}: Address already in use\n"
