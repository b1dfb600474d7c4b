import os
import signal
from multiprocessing import get_context
from multiprocessing.connection import wait

from nearhash_service.processes.received_signals import receive_signals, received


def receive(connection):
    """Receive the signals of before and after, in a process of its own: they belong to the main thread."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    os.kill(os.getpid(), signal.SIGTERM)
    signals = receive_signals(signal.SIGTERM, signal.SIGHUP)
    wait([signals], timeout=10)
    connection.send(received(signals))
    os.kill(os.getpid(), signal.SIGHUP)
    wait([signals], timeout=10)
    connection.send(received(signals))


def test_signals_are_received_that_came_while_they_were_blocked_and_later_ones():
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=receive, args=(theirs,))
    process.start()
    try:
        assert ours.poll(30)
        assert ours.recv() == [signal.SIGTERM]
        assert ours.poll(30)
        assert ours.recv() == [signal.SIGHUP]
    finally:
        process.join(30)
    assert process.exitcode == 0
