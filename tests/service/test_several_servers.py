"""A client of two servers, one of which is killed."""

from __future__ import annotations

import os
import signal
import threading
from time import monotonic

from nearhash_client import Client

from .running import descendants


def test_killing_one_of_two_servers_fails_no_call(serve, published):
    servers = [serve(published), serve(published)]
    latencies_s: list[float] = []
    over = threading.Event()

    with Client([server.address for server in servers]) as client:

        def look_up() -> None:
            while not over.is_set():
                start_s = monotonic()
                client.lookup([1, 2, 3], timeout_s=10)
                latencies_s.append(monotonic() - start_s)

        threads = [threading.Thread(target=look_up) for _ in range(4)]
        for thread in threads:
            thread.start()
        over.wait(0.5)
        workers = descendants(servers[1].process.pid)
        # First who would replace the workers; they would see its end and drain, so they are killed, too.
        servers[1].process.kill()
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        before = len(latencies_s)
        over.wait(0.7)
        over.set()
        for thread in threads:
            thread.join()
    assert before > 100
    assert len(latencies_s) - before > 100
