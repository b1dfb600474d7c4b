import multiprocessing
import os
import signal
import socket
from contextlib import contextmanager

import pytest

from nearhash_service.config import Config, ServerSection
from nearhash_service.processes.worker import run_worker

from .running import connected


@contextmanager
def reserved():
    """A port that only workers can share."""
    with socket.socket() as reservation:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reservation.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{reservation.getsockname()[1]}"


@pytest.fixture
def health_address():
    with reserved() as address:
        yield address


@pytest.fixture
def worker(data, health_address):
    """A worker without a supervisor process: the test holds the other end of its pipe."""
    with reserved() as listen:
        server = ServerSection(data=data, listen=listen, health_listen=health_address, drain_delay_s=0.05)
        config = Config(server=server)
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=run_worker, args=(config, theirs))
        process.start()
        theirs.close()
        try:
            assert ours.poll(60)
            assert ours.recv() == "ready"
            yield process, ours, listen
        finally:
            process.kill()
            process.join(10)
            ours.close()


def test_a_worker_takes_calls_once_it_says_ready(worker):
    process, _, address = worker
    with connected(address) as stubs:
        assert stubs.status().worker.process_id == process.pid
        assert stubs.health("") == "SERVING"


@pytest.mark.usefixtures("worker")
def test_it_tells_its_health_at_a_port_of_its_own(health_address):
    with connected(health_address) as stubs:
        assert stubs.health("") == "SERVING"


def test_sigterm_ends_it_cleanly(worker):
    process, _, _ = worker
    os.kill(process.pid, signal.SIGTERM)
    process.join(20)
    assert process.exitcode == 0


def test_it_leaves_sigint_to_its_supervisor(worker):
    process, _, address = worker
    os.kill(process.pid, signal.SIGINT)
    with connected(address) as stubs:
        assert stubs.status().worker.process_id == process.pid
    process.join(0.3)
    assert process.is_alive()


def test_it_ends_when_its_supervisor_is_gone(worker):
    process, ours, _ = worker
    ours.close()
    process.join(20)
    assert process.exitcode == 0
