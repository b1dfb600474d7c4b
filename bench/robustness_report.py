"""Turn the record of robustness into bench/ROBUSTNESS.md and plots.

python -m bench.robustness_report
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator

from bench.measure import HERE, RECORDS
from bench.robustness_plots import draw
from bench.robustness_rates import DEFAULTS, HARSH, LISTS, MILD, RADII, Record, false_rate, recall, rounded

HEAD = """\
# What the hashes withstand, measured

Made by `make bench-robustness` from `records/robustness.json`. To choose a hash type and a radius by: which share of
altered copies is found, and how often images are that have nothing to do with the list.

{images:,} images of {side} x {side} pixels were drawn at random:
{kinds}; the crops are of seven photographs.
The first {altered:,} of them, and the demonstration's eight photographs, were altered in {alterations} ways
([alterations.py](alterations.py)), and all were hashed as `nearhash hash` does.
Seed {seed}; {machine}.

Generated images are harder than photographs: gradients are nearly flat, noise has no structure. Trust the order of the
numbers more than the numbers.
"""

RECALL = """
## Copies found at the default radius

In percent of the drawn images whose own hash can be on a list; in brackets, how many of the photographs. A copy that
is not searched, its hash being degenerate or of a quality below 50, counts as missed.

![](plots/robustness_recall.png)

"""

TURNED = """
A copy that is turned by quarters or mirrored is found as surely as one that is not, when all eight forms of a picture
are looked up: one of them is that of the listed image. It costs eight lookups and eight times the false matches.
"""

CHOICE = """
## What a radius finds, rightly and wrongly

*Mild*: mean recall over
{mild}.

*Harsh*: over
{harsh}.

*False*: false matches per million lookups, on a list of so many entries. Counted over all pairs of different drawn
images but two crops of photographs, which may show the same; in proportion to the list. `<`: no such pair was found;
with 95 % confidence there are fewer than this. *Not smooth*: without gradients, of which most false matches are. A
platform's uploads lie somewhere between.

![](plots/robustness_choice.png)

![](plots/robustness_radius.png)
"""

KINDS = """
## Which images match wrongly

False matches at the default radius per million pairs of images of these kinds.

"""

SEARCHED = """
Not every image has a hash that is searched:
{searched}.
The rest, mostly gradients, is degenerate or of low quality, and would match wrongly more often than all others.
"""

ADVICE = """
## How to choose

- PDQ at 31 first, for lists of any size: no false match was seen up to 39, and few beyond. Where more copies matter
  than are found, 39 or 47 costs little; judge it by `nearhash bank estimate` on the list itself. PDQ forgives
  recompression, scaling and filters, and next to no cropping, turning or framing.
- pHash at 6 to 8 beside it finds copies that are slightly cropped, turned or scaled far down, at a number of false
  matches that grows with the list: fit for lists of thousands. On a million entries nearly every lookup at 8 would
  bring one, so that a second look must follow.
- dHash withstands the most, frames and watermarks above all, and takes smooth images for each other some twenty times
  as often as pHash: 4 to 6 where uploads are photographs.
- aHash and wHash take smooth images for each other at any radius. Use them for lists that come with nothing else.
- Of crops by 10 %, turns by 5 degrees, borders and captions all of them miss most. Cut off bars before hashing, look up
  all eight forms where people mirror, and keep digests for exact copies.
"""


def main() -> None:
    """Write the page and the plots."""
    record = json.loads((RECORDS / "robustness.json").read_text())
    draw(record)
    parts = [head(record), *recall_table(record), *choice_tables(record), *kinds_table(record), ADVICE]
    (HERE / "ROBUSTNESS.md").write_text("\n".join(part.removesuffix("\n") for part in parts) + "\n")


def head(record: Record) -> str:
    """Say how it was measured."""
    machine, versions = record["machine"], record["machine"]["versions"]
    names = ("numpy", "ImageHash", "pdqhash", "pillow")
    return HEAD.format(
        images=sum(record["kinds"].values()),
        side=record["side"],
        kinds=", ".join(f"{count:,} {kind}" for kind, count in record["kinds"].items()),
        altered=record["altered_images"],
        alterations=len(record["types"]["phash64"]["distances"]),
        seed=record["seed"],
        machine=f"{machine['cpu']}, Python {machine['python']}, " + ", ".join(f"{n} {versions[n]}" for n in names),
    )


def recall_table(record: Record) -> Iterator[str]:
    """Show the recall of each alteration at the default radii."""
    yield RECALL
    yield from heading("alteration", [f"{name}, r = {radius}" for name, radius in DEFAULTS.items()])
    for alteration in record["types"]["phash64"]["distances"]:
        cells = []
        for name, radius in DEFAULTS.items():
            photographs = record["types"][name]["distances"][alteration]["photographs"]
            found = sum(photographs[: radius + 1])
            cells.append(f"{100 * recall(record, name, [alteration], radius):.1f} ({found}/{sum(photographs)})")
        yield row(alteration, cells)
    yield TURNED


def choice_tables(record: Record) -> Iterator[str]:
    """Show what each radius finds, rightly and wrongly."""
    yield CHOICE.format(mild=wrapped(MILD), harsh=wrapped(HARSH))
    for name, radii in RADII.items():
        falses = [f"false, {n:,}" for n in LISTS] + [f"not smooth, {n:,}" for n in LISTS]
        yield ""
        yield from heading(f"{name}, r", ["mild, %", "harsh, %", *falses])
        for radius in radii:
            shares = [f"{100 * recall(record, name, chosen, radius):.1f}" for chosen in (MILD, HARSH)]
            rates = [false_rate(record, name, radius, n, smooth=smooth) for smooth in (True, False) for n in LISTS]
            yield row(f"**{radius}**" if radius == DEFAULTS[name] else str(radius), [*shares, *rates])


def kinds_table(record: Record) -> Iterator[str]:
    """Show whose false matches they are."""
    yield KINDS
    yield from heading("kinds", DEFAULTS)
    for kinds in record["types"]["phash64"]["pairs"]:
        cells = []
        for name, radius in DEFAULTS.items():
            *counts, pairs = record["types"][name]["pairs"][kinds]
            cells.append(rounded(sum(counts[: radius + 1]) / pairs * 1e6) if pairs else "")
        yield row(kinds, cells)
    images = sum(record["kinds"].values())
    searched = {name: sum(record["types"][name]["different"].values()) / images for name in DEFAULTS}
    yield SEARCHED.format(searched=", ".join(f"{100 * share:.0f} % for {name}" for name, share in searched.items()))


def wrapped(names: Iterable[str]) -> str:
    """Write names in lines of the page's width."""
    return textwrap.fill(", ".join(names), 120)


def heading(first: str, columns: Iterable[str]) -> Iterator[str]:
    """Write the head of a table, numbers to the right."""
    names = list(columns)
    yield row(first, names)
    yield row("---", ["---:"] * len(names))


def row(first: str, cells: Iterable[str]) -> str:
    """Write a row of a table."""
    return f"| {first} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
