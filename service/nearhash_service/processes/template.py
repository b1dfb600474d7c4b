"""What all workers have in common, loaded once: they are forked from a process that does nothing but import this.

So a worker is there in a quarter of the time, and shares the memory of what it has loaded. Nothing of gRPC may be used
here, only imported: its threads do not survive a fork.
"""

from __future__ import annotations

import gc
import signal
import sys

# There is no garbage among what is loaded: to look for it takes a seventh of the time.
gc.disable()
# Numba would load it, if it is installed, for linear algebra that no kernel does.
sys.modules["scipy"] = None  # type: ignore[assignment]

import nearhash_service.processes.worker  # noqa: E402, F401
from nearhash_index import calibration  # noqa: E402
from nearhash_service.processes.process_name import set_process_name  # noqa: E402

set_process_name("nearhash-fork")

# The first kernel takes Numba a quarter of a second, whichever it is.
calibration.table_costs(0)
# A signal to the whole process group is for the others. Here it would end the process that sees workers end.
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP})
# A look for garbage would write to all of it, and memory that is written to is not shared any more.
gc.collect()
gc.freeze()
gc.enable()
