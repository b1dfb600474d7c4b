import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import grpc
import pytest

from nearhash.v1 import banks_pb2
from nearhash_client import Client, NearHashError, Unavailable
from nearhash_index.hash_types import HASH_TYPES

from .calls import apply, upsert
from .running import alive, children, connected, descendants, eventually, refused, starting
from .sample import EMPTY
from .violations import refusal


def worker_ids(address: str, at_least: int) -> set[int]:
    """Return the process ids that answer on new connections, once there are so many."""
    found: set[int] = set()
    errors: list[grpc.RpcError] = []

    def all_seen() -> bool:
        with connected(address) as stubs:
            try:
                found.add(stubs.status().worker.process_id)
            except grpc.RpcError as error:
                # A connection that waits for a worker when it is killed is reset.
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    raise
                errors.append(error)
        return len(found) >= at_least

    eventually(all_seen, every_s=0, seen=(found, errors))
    return found


class Calls:
    """Looks up without pause from a thread, and remembers when each call began and what came of it."""

    def __init__(self, address: str, hashes: list[bytes]) -> None:
        self.done: list[tuple[float, NearHashError | None]] = []
        self._address = address
        self._hashes = hashes
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        self._thread.start()
        try:
            eventually(lambda: len(self.done) > 5, seen=self.done)
            yield
        finally:
            self._stop.set()
            self._thread.join(30)
        assert not self._thread.is_alive()

    def errors(self, begun_before_s: float = float("inf")) -> list[NearHashError]:
        return [error for begin_s, error in self.done if error and begin_s < begun_before_s]

    def _run(self) -> None:
        with Client(self._address) as client:
            deadline_s = monotonic() + 60
            while not self._stop.is_set() and monotonic() < deadline_s:
                begin_s = monotonic()
                try:
                    client.lookup(self._hashes, timeout_s=20)
                    self.done.append((begin_s, None))
                except NearHashError as error:
                    self.done.append((begin_s, error))
                    return


@pytest.fixture
def hashes(sample) -> list[bytes]:
    return sample.hashes(HASH_TYPES["phash64"]) * 10


def test_workers_share_the_port_and_a_killed_one_is_replaced_while_calls_go_on(serve, data, hashes):
    running = serve(data, "--workers", 2)
    first = worker_ids(running.address, 2)
    assert running.process.pid not in first
    assert first < descendants(running.process.pid)
    calls = [Calls(running.address, hashes[:50]) for _ in range(3)]
    with calls[0].going_on(), calls[1].going_on(), calls[2].going_on():
        for killed in sorted(first):
            now = worker_ids(running.address, 2)
            os.kill(killed, signal.SIGKILL)
            eventually(lambda killed=killed: not alive(killed))
            eventually(lambda now=now, killed=killed: worker_ids(running.address, 2) - now and not alive(killed))
    assert [error for of_thread in calls for error in of_thread.errors()] == []
    assert worker_ids(running.address, 2).isdisjoint(first)
    assert running.log().count("; replaced") == 2


@pytest.mark.parametrize(("number", "workers"), [(signal.SIGTERM, 2), (signal.SIGINT, 1)])
def test_a_signal_lets_calls_end_and_leaves_no_process(serve, data, hashes, number, workers):
    running = serve(data, "--workers", workers)
    worker_ids(running.address, workers)
    processes = descendants(running.process.pid)
    assert len(processes) >= workers
    calls = [Calls(running.address, hashes) for _ in range(3)]
    with calls[0].going_on(), calls[1].going_on(), calls[2].going_on():
        sleep(0.2)
        signalled_s = monotonic()
        assert running.stop(number) == 0
        took_s = monotonic() - signalled_s
    assert [error for of_thread in calls for error in of_thread.errors(begun_before_s=signalled_s)] == []
    # Calls begun later are answered or find nobody.
    late = [error for of_thread in calls for error in of_thread.errors()]
    assert [error for error in late if not isinstance(error, Unavailable)] == []
    assert took_s < 10
    assert not [process for process in processes if alive(process)]
    assert running.output().endswith("stopped\n")
    assert "Traceback" not in running.log()


def test_a_publish_under_way_ends_before_the_server_does(serve, data):
    running = serve(data)
    with connected(running.address) as stubs:
        apply(stubs, EMPTY, upsert("added"))
        publishing = stubs.banks.Publish.future(banks_pb2.PublishRequest(), timeout=60)
        # The build is a process of its own.
        before = len(descendants(running.process.pid))
        eventually(lambda: len(descendants(running.process.pid)) > before or publishing.done())
        assert running.stop() == 0
        assert publishing.result(10).generation.number == 2


def test_health_tells_load_balancers_before_calls_are_refused(serve, data):
    running = serve(data)
    with connected(running.address) as stubs:
        assert stubs.health("") == "SERVING"
        running.process.send_signal(signal.SIGTERM)
        eventually(lambda: stubs.health("") == "NOT_SERVING", every_s=0)
        assert stubs.lookup(hash_type=1, hashes=bytes(8)).generation == 1
        assert running.stop() == 0


def test_workers_end_when_the_supervisor_is_killed(serve, data):
    running = serve(data, "--workers", 2)
    processes = worker_ids(running.address, 2) | descendants(running.process.pid)
    assert running.stop(signal.SIGKILL) == -signal.SIGKILL
    eventually(lambda: not any(map(alive, processes)))


def test_a_port_in_use_is_refused_and_free_again_at_once(serve, data):
    running = serve(data)
    # A connection that the server closes first keeps the port in TIME_WAIT.
    with connected(running.address) as stubs:
        stubs.status()
        error = refused("--data", data, "--listen", running.address)
        assert error == f"error: --listen: cannot listen on {running.address}: Address already in use\n"
        assert stubs.health("") == "SERVING"
        assert running.stop() == 0
        assert refusal(stubs.status).code() == grpc.StatusCode.UNAVAILABLE
    again = serve(data, listen=running.address)
    with connected(again.address) as stubs:
        assert stubs.health("") == "SERVING"


def test_a_registry_that_cannot_be_opened_is_told_at_once(tmp_path, data):
    (data / "registry" / "data.mdb").write_bytes(b"garbage" * 2000)
    with starting(tmp_path / "server", "--data", data, "--listen", "127.0.0.1:0") as running:
        assert running.process.wait(60) == 1
        assert running.output() == ""
        assert running.log().startswith("error: the registry ")
        assert running.log().count("\n") == 1


def test_workers_are_forked_from_what_has_loaded_all(serve, data):
    running = serve(data, "--workers", 2)
    workers = worker_ids(running.address, 2)
    assert children(template(running.process.pid)) == workers
    assert {name_of(worker) for worker in workers} == {"nearhash-worker"}
    # A process is forked without the threads of its parent.
    assert len(list(Path(f"/proc/{template(running.process.pid)}/task").iterdir())) == 1


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Whose path leaves room for that of a socket."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


def test_where_they_come_from_stays_if_a_signal_is_sent_to_all(serve, data):
    running = serve(data)
    workers = worker_ids(running.address, 1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(template(running.process.pid), number)
    sleep(0.3)
    assert children(template(running.process.pid)) == workers
    assert worker_ids(running.address, 1) == workers
    assert running.stop() == 0


def test_if_it_is_killed_workers_are_replaced_while_calls_go_on(serve, data, hashes):
    running = serve(data, "--workers", 2)
    before = worker_ids(running.address, 2)
    killed = template(running.process.pid)
    calls = Calls(running.address, hashes[:50])
    with calls.going_on():
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: not any(map(alive, before)))
        assert worker_ids(running.address, 2).isdisjoint(before)
    assert calls.errors() == []
    assert running.log().count("; replaced") == 2
    assert running.stop() == 0


def test_a_worker_loads_everything_itself_if_none_can_be_forked(tmp_path, data, monkeypatch, short_folder):
    """As if something had cleaned up the folder for temporary files."""
    monkeypatch.setenv("TMPDIR", str(short_folder))
    with starting(tmp_path / "server", "--data", data, "--listen", "127.0.0.1:0") as running:
        eventually(lambda: "serving" in running.output(), within_s=60)
        address = running.output().split(" at ")[1].split()[0]
        (first,) = worker_ids(address, 1)
        for socket in short_folder.rglob("listener-*"):
            socket.unlink()
        os.kill(first, signal.SIGKILL)
        eventually(lambda: worker_ids(address, 1) - {first}, within_s=60)
        assert "a worker cannot be forked ([Errno 2] No such file or directory)" in running.log()
        assert children(template(running.process.pid)) == set()
        assert running.stop() == 0


def test_a_worker_that_dies_while_starting_is_not_taken_for_ready(tmp_path, data):
    with starting(tmp_path / "server", "--data", data, "--listen", "127.0.0.1:0") as running:
        killed: set[int] = set()
        # Killed before it can serve, twice: the imports alone take longer than it takes to see the process.
        while len(killed) < 2:
            new = eventually(partial(new_workers, running.process.pid, killed), within_s=30, every_s=0.001)
            for child in new:
                os.kill(child, signal.SIGKILL)
            killed |= new
            assert running.output() == ""
        eventually(lambda: "serving" in running.output(), within_s=60)
        with connected(running.output().split(" at ")[1].split()[0]) as stubs:
            assert stubs.health("") == "SERVING"


def new_workers(supervisor: int, known: set[int]) -> set[int]:
    """Return the ids of workers, from their first moment on, and not of the helpers of multiprocessing."""
    return {child for of_supervisor in descendants(supervisor) for child in children(of_supervisor)} - known


def template(supervisor: int) -> int:
    """Return the process id of what workers are forked from."""
    (found,) = (child for child in children(supervisor) if name_of(child) == "nearhash-fork")
    return found


def name_of(process_id: int) -> str:
    return Path(f"/proc/{process_id}/comm").read_text().strip()
