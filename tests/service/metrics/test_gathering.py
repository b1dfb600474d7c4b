"""The supervisor's metrics: over real pipes here, over real processes in test_exposition.py."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from time import monotonic, sleep

import pytest

from nearhash_service.metrics.gathering import GatheredMetrics
from nearhash_service.metrics.instruments import Instruments
from nearhash_service.metrics.reporting import Reporter

from ..running import eventually
from .scraped import Scraped


@pytest.fixture
def gathered() -> GatheredMetrics:
    return GatheredMetrics(Instruments())


class Worker:
    """A worker as far as metrics go, in a thread."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.instruments = Instruments()
        self.reporter = Reporter(connection, self.instruments)

    def count(self, queries: int) -> None:
        self.instruments.lookups.queries.counts["md5"] += queries
        self.instruments.builds.labels("published").inc(queries)

    def end(self, *, told: bool) -> None:
        if told:
            self.reporter.finish()
        # As the system does at a process's end; close() alone would not wake the thread that reads.
        with socket.socket(fileno=os.dup(self.connection.fileno())) as pipe:
            pipe.shutdown(socket.SHUT_RDWR)


@contextmanager
def ended_workers(gathered: GatheredMetrics, before: int) -> Iterator[None]:
    yield
    eventually(lambda: scrape(gathered).total("nearhash_workers") == before - 1)


def scrape(gathered: GatheredMetrics) -> Scraped:
    return Scraped(gathered.collect())


def started(gathered: GatheredMetrics) -> Worker:
    before = scrape(gathered).total("nearhash_workers")
    worker = Worker(gathered.connect())
    worker.reporter.start()
    eventually(lambda: scrape(gathered).total("nearhash_workers") == before + 1)
    return worker


def queries(scraped: Scraped) -> dict[tuple[str, ...], float]:
    return scraped.values("nearhash_queries_total", hash_type="md5")


def test_each_scrape_asks_anew(gathered):
    first, second = started(gathered), started(gathered)
    for i in range(1, 5):
        first.count(1)
        second.count(10)
        scraped = scrape(gathered)
        assert queries(scraped) == {("0",): i, ("1",): 10 * i, ("supervisor",): 0}
        assert scraped.values("nearhash_builds_total") == {("published",): 11 * i}
    assert scraped.total("nearhash_worker_starts_total") == 2
    assert scraped.total("nearhash_worker_crashes_total") == 0


def test_the_last_report_loses_nothing_and_the_next_worker_goes_on_counting(gathered):
    first, second = started(gathered), started(gathered)
    first.count(3)
    with ended_workers(gathered, 2):
        first.end(told=True)
    assert queries(scrape(gathered))["0",] == 3
    third = started(gathered)
    third.count(4)
    second.count(1)
    scraped = scrape(gathered)
    assert queries(scraped) == {("0",): 7, ("1",): 1, ("supervisor",): 0}
    assert scraped.total("nearhash_worker_starts_total") == 3
    assert scraped.total("nearhash_worker_crashes_total") == 0


def test_what_a_crashed_worker_told_stays(gathered):
    worker = started(gathered)
    worker.count(3)
    scrape(gathered)
    with ended_workers(gathered, 1):
        worker.end(told=False)
    scraped = scrape(gathered)
    assert queries(scraped)["0",] == 3
    assert scraped.total("nearhash_worker_crashes_total") == 1


def test_one_that_is_starting_is_not_waited_for(gathered):
    connection = gathered.connect()
    begin_s = monotonic()
    scraped = scrape(gathered)
    assert monotonic() - begin_s < 0.9
    assert scraped.total("nearhash_workers") == 0
    assert scraped.total("nearhash_worker_starts_total") == 1
    connection.close()


def test_one_that_hangs_is_told_of_as_it_was_last(gathered):
    connection = gathered.connect()
    instruments = Instruments()
    instruments.lookups.queries.counts["md5"] = 5
    # It reports once, and never answers.
    Reporter(connection, instruments)._send(last=False)
    eventually(lambda: queries(scrape(gathered)).get(("0",)) == 5)
    well = started(gathered)
    well.count(1)
    scraped = scrape(gathered)
    assert queries(scraped) == {("0",): 5, ("1",): 1, ("supervisor",): 0}
    assert scraped.total("nearhash_workers") == 1
    connection.close()


def test_scrapes_at_once_agree(gathered):
    worker = started(gathered)
    worker.count(9)
    seen: list[Scraped] = []
    threads = [threading.Thread(target=lambda: seen.append(scrape(gathered))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [queries(scraped)["0",] for scraped in seen] == [9] * 8


def test_the_successor_of_one_that_has_just_ended_has_its_number(gathered):
    other = gathered.connect()
    for _ in range(200):
        worker = gathered.connect()
        assert sorted(gathered._links) == [0, 1]
        worker.close()
    assert not other.closed
    eventually(lambda: scrape(gathered).total("nearhash_worker_crashes_total") == 200)


def test_a_pipe_is_not_taken_for_the_next_one_which_has_its_number(gathered, monkeypatch):
    def close_and_wait(connection: Connection) -> None:
        os.close(connection.fileno())
        sleep(0.01)

    monkeypatch.setattr(Connection, "_close", close_and_wait)
    for _ in range(20):
        worker = gathered.connect()
        assert list(gathered._links) == [0]
        worker.close()
