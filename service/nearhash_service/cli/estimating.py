"""nearhash bank estimate."""

from __future__ import annotations

from typing import Annotated

import typer

from nearhash.v1 import banks_pb2
from nearhash_index.errors import InvalidInput
from nearhash_index.hash_types import check_radius, hash_type_named
from nearhash_service.answering.wire_types import hash_type_number
from nearhash_service.cli.connection import Connection, connected
from nearhash_service.cli.printing import output, table

__all__ = ["estimate"]

_LINES = 20
_NEGLIGIBLE = 1e-6


@connected()
def estimate(
    connection: Connection,
    bank: Annotated[str, typer.Argument()],
    hash_type: Annotated[str, typer.Option(metavar="TYPE", help="A perceptual hash type.")] = "pdq256",
    radii: Annotated[
        str | None, typer.Option(metavar="R-R", help="Radii to show, inclusive. Without it: to twice the default one.")
    ] = None,
) -> None:
    """Estimate how many random matches to expect at each radius, from the bank's published hashes.

    Judge a radius before `nearhash bank update` sets it. Images of the bank stand in for uploads that have nothing to
    do with it. Takes some seconds.

    Example: nearhash bank estimate take-it-down --hash-type pdq256 --radii 20-40 --data data
    """
    kind = hash_type_named(hash_type, "--hash-type")
    first, last = _radii(radii) if radii else (0, min(2 * kind.default_radius, kind.bits))
    check_radius(kind, last, "--radii")
    request = banks_pb2.EstimateMatchesRequest(bank=bank, hash_type=hash_type_number(kind.name))
    with connection.banks() as banks:
        found = banks.EstimateMatches(request)
    output.print(
        f"bank {bank}, generation {found.generation}: {found.hash_count:,} {kind.name} hashes of {kind.bits} bits, "
        f"worth {found.effective_bits:.0f} independent ones"
    )
    if found.HasField("copies_radius"):
        output.print(f"pairs up to distance {found.copies_radius} were taken for copies of one image, and left out")
    if found.many_alike:
        output.print(
            "many images look alike to this hash: copies could not be told from them, and all pairs were counted"
        )
    output.print()
    numbers = ("radius", "random matches", "low", "high", "counted", "if bits were fair", "within the list")
    made = table(*numbers, right=numbers)
    step = 1 if radii else -(-(last - first) // _LINES) or 1
    for item in found.estimates[first : last + 1 : step]:
        made.add_row(
            str(item.radius),
            _number(item.matches),
            _number(item.matches_low),
            _number(item.matches_high),
            f"{item.counted_share:.0%}",
            _number(item.uniform_matches),
            _number(item.list_matches),
        )
    output.print(made)
    output.print(
        "per million lookups: entries matched at random, with an interval of 95 %; the share of them that was counted, "
        "not extrapolated; and, copies included, the bank's own images' matches with other entries"
    )


def _radii(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()) or int(last or first) < int(first):
        raise InvalidInput("--radii", f"{text!r}; write two radii, such as 20-40, or one")
    return int(first), int(last or first)


def _number(value: float) -> str:
    """Write three digits; what never happens as such."""
    if value < _NEGLIGIBLE:
        return "0"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
