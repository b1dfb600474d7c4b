"""nearhash status, nearhash watch."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Annotated

import typer
from google.protobuf.json_format import MessageToJson
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from nearhash.v1 import banks_pb2, banks_pb2_grpc
from nearhash_service.answering.wire_types import type_name
from nearhash_service.cli.banks import bank_table
from nearhash_service.cli.connection import Connection, connected
from nearhash_service.cli.printing import local_time, output, table

__all__ = ["app", "build_text"]

app = typer.Typer()


@app.command()
@connected()
def status(
    connection: Connection,
    as_json: Annotated[bool, typer.Option("--json", help="Print the server's messages as JSON.")] = False,
) -> None:
    """Show banks, generations, and what is served.

    Example: nearhash status --target 127.0.0.1:50051
    """
    with connection.banks() as banks:
        now, generations = _ask(banks)
    if as_json:
        typer.echo(MessageToJson(now, always_print_fields_with_no_presence=True, preserving_proto_field_name=True))
    else:
        output.print(_shown(now, generations))


@app.command()
@connected()
def watch(
    connection: Connection,
    every_s: Annotated[float, typer.Option(min=0.1, help="Seconds between looks.")] = 1.0,
) -> None:
    """Follow the status in the terminal, until Ctrl-C.

    Example: nearhash watch --target 127.0.0.1:50051
    """
    with (
        suppress(KeyboardInterrupt),
        connection.banks() as banks,
        Live(_shown(*_ask(banks)), console=output, auto_refresh=False) as live,
    ):
        while True:
            time.sleep(every_s)
            live.update(_shown(*_ask(banks)), refresh=True)


def _ask(banks: banks_pb2_grpc.BankServiceStub) -> tuple[banks_pb2.GetStatusResponse, list[banks_pb2.Generation]]:
    now = banks.GetStatus(banks_pb2.GetStatusRequest())
    return now, list(banks.ListGenerations(banks_pb2.ListGenerationsRequest()).generations)


def _shown(now: banks_pb2.GetStatusResponse, generations: list[banks_pb2.Generation]) -> Group:
    waiting = now.sequence - now.current.sequence
    summary = (
        f"sequence {now.sequence:,}, {waiting:,} after the last build; {now.disk_size_bytes / 1e6:,.1f} MB on disk"
    )
    parts: list[RenderableType] = [Text(summary), bank_table(list(now.banks))]
    if now.storage_error:
        parts.insert(0, Text(now.storage_error, style="red"))
    if now.HasField("build"):
        parts.insert(1, Text(build_text(now)))
    if generations:
        parts.append(_generation_table(generations))
    if now.plans:
        parts.append(_plan_table(now))
    return Group(*parts, _worker_table(now))


def _plan_table(now: banks_pb2.GetStatusResponse) -> Table:
    numbers = ("radius", "probes", "candidates", "expected us", "bytes per hash")
    made = table("search", *numbers, "path", right=numbers)
    for plan in now.plans:
        bands = " ".join(f"{bits}:{t}" for bits, t in zip(plan.band_bits, plan.thresholds, strict=False))
        made.add_row(
            type_name(plan.hash_type),
            str(plan.radius),
            f"{plan.probes:,}",
            f"{plan.candidates:,.0f}",
            f"{plan.expected_us:,.1f}",
            f"{sum(plan.bytes_per_hash.values()):,.0f}",
            f"{plan.path} {bands}",
        )
    return made


def _worker_table(now: banks_pb2.GetStatusResponse) -> Table:
    numbers = ("generation", "sequence", "lag", "added since")
    made = table("process", "since", *numbers, "error", right=numbers)
    for worker in now.workers or [now.worker]:
        made.add_row(
            str(worker.process_id),
            local_time(worker.start_time),
            str(worker.generation),
            f"{worker.sequence:,}",
            f"{now.sequence - worker.sequence:,}",
            f"{worker.delta_entry_count:,}",
            worker.reload_error,
        )
    return made


def build_text(now: banks_pb2.GetStatusResponse) -> str:
    """Tell of the build under way, if there is one."""
    if not now.HasField("build"):
        return ""
    build = now.build
    seconds = max(0, time.time() - build.start_time.ToMilliseconds() / 1000)
    return (
        f"building generation {build.generation}: {build.step} (step {build.step_number} of {build.step_count}), "
        f"{seconds:.0f} s so far"
    )


def _mark(generation: banks_pb2.Generation) -> str:
    return " (pinned)" if generation.pinned else " (current)" if generation.current else ""


def _generation_table(generations: list[banks_pb2.Generation]) -> Table:
    made = table("generation", "published", "entries", "sequence", "MB", right=("entries", "sequence", "MB"))
    for generation in generations:
        made.add_row(
            f"{generation.number}{_mark(generation)}",
            local_time(generation.create_time),
            f"{generation.entry_count:,}",
            f"{generation.sequence:,}",
            f"{generation.size_bytes / 1e6:,.1f}",
        )
    return made
