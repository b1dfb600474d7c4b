"""Starting worker processes: forked from one that has loaded what they need, and never from one that uses gRPC."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

__all__ = ["start_process"]

_TEMPLATE = "nearhash_service.processes.template"

_log = logging.getLogger(__name__)


def start_process(target: Callable[..., object], *arguments: Any) -> BaseProcess:
    """Start a process, forked from the template if that is possible."""
    forked = multiprocessing.get_context("forkserver")
    forked.set_forkserver_preload([_TEMPLATE])
    process: BaseProcess = forked.Process(target=target, args=arguments)
    try:
        process.start()
    except (OSError, EOFError) as error:
        # It may have been killed a moment ago; or the socket by which it is reached, in /tmp, has been cleaned up.
        _log.warning("a worker cannot be forked (%s); it loads everything itself", error)
        process = multiprocessing.get_context("spawn").Process(target=target, args=arguments)
        process.start()
    return process
