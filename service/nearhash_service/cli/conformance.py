"""nearhash conformance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from nearhash_service.cli.printing import output, table

if TYPE_CHECKING:
    from nearhash_client.conformance import Comparison

__all__ = ["app"]

app = typer.Typer()


@app.command()
def conformance(
    everything: Annotated[bool, typer.Option("--all", help="Print every comparison, not only differences.")] = False,
) -> None:
    """Compare the hashes of golden images, computed on this machine, with those by other implementations.

    Exit status 1: one differs. Then this machine's decoders make other pixels of an image than those of whoever hashed
    the list, and matches may be missed.

    Example: nearhash conformance
    """
    # Pillow, ImageHash and pdqhash are an extra that only these commands need.
    from nearhash_client.conformance import compare, decoder_versions  # noqa: PLC0415

    comparisons = list(compare())
    shown = comparisons if everything else [each for each in comparisons if each.distance]
    if shown:
        _print(shown)
    for name, version in decoder_versions().items():
        output.print(f"{name} {version}")
    images = len({each.image for each in comparisons})
    differing = sum(each.differs for each in comparisons)
    unjudged = sum(not each.judged for each in comparisons)
    output.print(
        f"{images} images, {len(comparisons)} comparisons: {differing} differences; {unjudged} not judged",
        soft_wrap=True,
    )
    if differing:
        raise typer.Exit(1)


def _print(comparisons: Sequence[Comparison]) -> None:
    rows = table("image", "hash_type", "compared with", "distance", "quality", "", right=("distance", "quality"))
    for each in comparisons:
        verdict = "differs" if each.differs else "tolerated" if each.distance else "equal"
        rows.add_row(
            each.image,
            each.hash_type,
            each.authority,
            str(each.distance),
            "" if each.quality is None else str(each.quality),
            verdict if each.judged else "not judged",
        )
    output.print(rows)
