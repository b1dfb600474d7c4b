"""Starting worker processes: forked from one that has loaded what they need, and never from one that uses gRPC."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.forkserver import ensure_running
from multiprocessing.process import BaseProcess
from typing import Any

__all__ = ["load_template", "start_process"]

_TEMPLATE = "nearhash_service.processes.template"

_log = logging.getLogger(__name__)


def load_template() -> None:
    """Begin to load what workers have in common, in a process of its own, while this one goes on."""
    multiprocessing.get_context("forkserver").set_forkserver_preload([_TEMPLATE])
    # Whoever starts a worker then is told why.
    with suppress(OSError):
        ensure_running()


def start_process(target: Callable[..., object], *arguments: Any) -> BaseProcess:
    """Start a process, forked from the template if that is possible."""
    process: BaseProcess = multiprocessing.get_context("forkserver").Process(target=target, args=arguments)
    try:
        load_template()
        process.start()
    except (OSError, EOFError) as error:
        # It may have been killed a moment ago; or the socket by which it is reached, in /tmp, has been cleaned up.
        _log.warning("a worker cannot be forked (%s); it loads everything itself", error)
        process = multiprocessing.get_context("spawn").Process(target=target, args=arguments)
        process.start()
    return process
