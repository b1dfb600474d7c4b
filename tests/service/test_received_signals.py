import subprocess
import sys

RECEIVING = """
import os, signal
from multiprocessing.connection import wait
from nearhash_service.processes.received_signals import receive_signals, received

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
os.kill(os.getpid(), signal.SIGTERM)
signals = receive_signals(signal.SIGTERM, signal.SIGHUP)
for _ in range(2):
    wait([signals], timeout=10)
    print(*(number.name for number in received(signals)))
    os.kill(os.getpid(), signal.SIGHUP)
"""


def test_signals_are_received_that_came_while_they_were_blocked_and_later_ones():
    """In a process of their own, since they belong to its main thread."""
    done = subprocess.run([sys.executable, "-c", RECEIVING], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["SIGTERM", "SIGHUP"]
