"""Calls given to a pool, and what becomes of them, which gRPC does not ask and a pool does not tell."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from nearhash_service.scheduling.call_pool import CallPool


def submitted(pool: CallPool, fn: Callable[..., Any], *args: Any) -> Future[Any]:
    future: Future[Any] = Future()

    def call() -> None:
        try:
            future.set_result(fn(*args))
        except BaseException as error:  # noqa: BLE001 - told to whoever holds the future
            future.set_exception(error)

    pool.submit(call)
    return future
