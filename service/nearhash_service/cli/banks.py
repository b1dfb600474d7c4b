"""nearhash bank: create, list."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from nearhash.v1 import banks_pb2
from nearhash_index.errors import InvalidInput
from nearhash_index.hash_types import HASH_TYPES, check_radius
from nearhash_service.answering.wire_types import hash_type_number, type_name
from nearhash_service.cli.author import author
from nearhash_service.cli.connection import Connection, connected
from nearhash_service.cli.estimating import estimate
from nearhash_service.cli.printing import output, table

__all__ = ["app", "bank_table"]

app = typer.Typer()
_group = typer.Typer(help="Create, change, list and judge banks.", no_args_is_help=True)
app.add_typer(_group, name="bank")


@_group.command()
@connected(create=True)
def create(
    connection: Connection,
    name: Annotated[str, typer.Argument(help="Letters, digits, '-', '_' and '.'.")],
    radius: Annotated[
        list[str] | None,
        typer.Option(metavar="TYPE=R", help="Radius for a hash type, inclusive, in bits. Repeat for more types."),
    ] = None,
    label: Annotated[list[str] | None, typer.Option(help="Label of the bank. Repeat for more.")] = None,
    allowlist: Annotated[
        bool, typer.Option("--allowlist", help="A match in it suppresses the matches of other banks.")
    ] = False,
) -> None:
    """Create an empty bank; with --data, also the data directory if there is none.

    Example: nearhash bank create take-it-down --radius phash64=6 --data data
    """
    request = banks_pb2.CreateBankRequest(
        name=name, radii=map(_radius, radius or []), labels=label or [], allowlist=allowlist, author=author("")
    )
    with connection.banks() as banks:
        bank = banks.CreateBank(request).bank
    output.print(f"created bank {bank.name}")


@_group.command()
@connected()
def update(
    connection: Connection,
    name: Annotated[str, typer.Argument()],
    radius: Annotated[
        list[str] | None, typer.Option(metavar="TYPE=R", help="New radius for a hash type. Repeat for more types.")
    ] = None,
    enabled: Annotated[bool | None, typer.Option("--enable/--disable", help="Whether lookups search it.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="Label in the place of those it has. Repeat for more.")
    ] = None,
    no_labels: Annotated[bool, typer.Option("--no-labels", help="Take all its labels away.")] = False,
    allowlist: Annotated[
        bool | None,
        typer.Option("--allowlist/--no-allowlist", help="Whether a match in it suppresses those of other banks."),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for the audit log.")] = "",
) -> None:
    """Change what is named of a bank; in effect within a second.

    Example: nearhash bank update take-it-down --radius phash64=8 --data data
    """
    if label and no_labels:
        raise typer.BadParameter("give --label or --no-labels, not both")
    labels = banks_pb2.BankLabels(labels=label) if label or no_labels else None
    request = banks_pb2.UpdateBankRequest(
        name=name,
        radii=map(_radius, radius or []),
        enabled=enabled,
        labels=labels,
        allowlist=allowlist,
        author=author(reason),
    )
    with connection.banks() as banks:
        output.print(bank_table([banks.UpdateBank(request).bank]))


@_group.command("list")
@connected()
def list_banks(connection: Connection) -> None:
    """List the banks with their radii and number of entries.

    Example: nearhash bank list --target 127.0.0.1:50051
    """
    with connection.banks() as banks:
        output.print(bank_table(list(banks.ListBanks(banks_pb2.ListBanksRequest()).banks)))


_group.command()(estimate)


def bank_table(banks: list[banks_pb2.Bank]) -> Table:
    """Return a table of banks, for printing."""
    made = table("bank", "entries", "state", "radii", "labels", right=("entries",))
    for bank in banks:
        radii = " ".join(f"{type_name(item.hash_type)}={item.radius}" for item in bank.radii)
        made.add_row(bank.name, f"{bank.entry_count:,}", _state(bank), radii, ";".join(bank.labels))
    return made


def _state(bank: banks_pb2.Bank) -> str:
    return ("allowlist, " if bank.allowlist else "") + ("enabled" if bank.enabled else "disabled")


def _radius(text: str) -> banks_pb2.Radius:
    name, equals, number = text.partition("=")
    if name not in HASH_TYPES or not equals or not number.isdecimal():
        types = ", ".join(HASH_TYPES)
        raise InvalidInput("--radius", f"{text!r}; write TYPE=R, such as phash64=8; types are {types}")
    radius = check_radius(HASH_TYPES[name], int(number), f"--radius {text}")
    return banks_pb2.Radius(hash_type=hash_type_number(name), radius=radius)
