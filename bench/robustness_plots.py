"""Draws the record of robustness."""

from __future__ import annotations

import matplotlib.pyplot as plt
from bench.measure import HERE
from bench.robustness_rates import DEFAULTS, HARSH, LISTS, RADII, Record, false_pairs, recall

PLOTS = HERE / "plots"
DRAWN = (*HARSH, "JPEG quality 30", "cropped by 1%")


def draw(record: Record) -> None:
    """Write the plots."""
    PLOTS.mkdir(exist_ok=True)
    plot_heat(record)
    plot_radius(record)
    plot_choice(record)


def plot_heat(record: Record) -> None:
    """Draw the recall of each alteration by type."""
    alterations = list(record["types"]["phash64"]["distances"])
    values = [[100 * recall(record, name, [a], radius) for name, radius in DEFAULTS.items()] for a in alterations]
    figure, axes = plt.subplots(figsize=(7, 10))
    axes.imshow(values, aspect="auto", cmap="RdYlGn", vmin=0, vmax=100)
    axes.set_xticks(range(len(DEFAULTS)), [f"{name}\nr = {radius}" for name, radius in DEFAULTS.items()])
    axes.set_yticks(range(len(alterations)), alterations)
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            axes.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=8)
    axes.set_title("copies found, in percent")
    figure.tight_layout()
    figure.savefig(PLOTS / "robustness_recall.png", dpi=80)
    plt.close(figure)


def plot_radius(record: Record) -> None:
    """Draw recall against radius for pHash and PDQ."""
    figure, both = plt.subplots(1, 2, figsize=(13, 4.5), sharey=True, layout="constrained")
    for axes, name in zip(both, ("phash64", "pdq256"), strict=True):
        axes.set_prop_cycle(color=plt.get_cmap("tab20").colors)
        radii = range(RADII[name][-1] + 1)
        for alteration in DRAWN:
            axes.plot(radii, [100 * recall(record, name, [alteration], r) for r in radii], label=alteration)
        axes.axvline(DEFAULTS[name], color="grey", linestyle=":")
        axes.set(xlabel=f"radius, {name}", ylabel="copies found, in percent")
        axes.grid(alpha=0.3)
    figure.legend(*both[0].get_legend_handles_labels(), loc="outside right center", fontsize=8)
    figure.savefig(PLOTS / "robustness_radius.png", dpi=80)
    plt.close(figure)


def plot_choice(record: Record) -> None:
    """Draw harsh recall against false matches, a point per radius; where none was seen, its bound as a triangle."""
    figure, axes = plt.subplots(figsize=(11, 5), layout="constrained")
    for smooth, line in ((True, "-"), (False, ":")):
        axes.set_prop_cycle(None)
        for name, radii in RADII.items():
            pairs = {radius: false_pairs(record, name, radius, smooth=smooth) for radius in radii}
            shown = [radius for radius in radii if smooth or pairs[radius][0]]
            x = [(pairs[radius][0] or 3) / pairs[radius][1] * LISTS[1] * 1e6 for radius in shown]
            y = [100 * recall(record, name, HARSH, radius) for radius in shown]
            (drawn,) = axes.plot(x, y, line, label=f"{name}{'' if smooth else ', without gradients'}")
            for at, height, radius in zip(x, y, shown, strict=True):
                axes.plot(at, height, "o" if pairs[radius][0] else "<", color=drawn.get_color(), markersize=4)
                axes.annotate(str(radius), (at, height), textcoords="offset points", xytext=(5, 3), fontsize=8)
    axes.set(
        xscale="log",
        xlabel="false matches per million lookups on a list of 1,000,000",
        ylabel="copies found after harsh alterations, in percent",
    )
    axes.grid(alpha=0.3)
    figure.legend(title="by radius", loc="outside right center", fontsize=8)
    figure.savefig(PLOTS / "robustness_choice.png", dpi=80)
    plt.close(figure)
