"""What the record of robustness says: shares of copies found, and rates of false matches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

RADII = {
    "phash64": (2, 4, 6, 8, 10, 12),
    "dhash64": (2, 4, 6, 8, 10, 12),
    "ahash64": (1, 2, 3, 4, 6, 8),
    "whash64": (1, 2, 3, 4, 6, 8),
    "pdq256": (15, 23, 31, 39, 47, 63),
}
DEFAULTS = {"phash64": 8, "dhash64": 8, "ahash64": 4, "whash64": 4, "pdq256": 31}
MILD = (
    *("JPEG quality 80", "JPEG quality 50", "JPEG quality 30", "resized to 75%", "resized to 50%", "cropped by 1%"),
    *("watermark in a corner", "blurred, sigma 0.4% of the side", "noise, sigma 10 of 255"),
    *("brighter by 30%", "darker by 30%", "contrast up by 50%", "gamma 1.5", "grey"),
)
HARSH = (
    *("JPEG quality 10", "resized to 25%", "cropped by 2%", "cropped by 5%", "rotated by 1 degree"),
    *("rotated by 2 degrees", "letterboxed, bars of 5%", "half transparent text across"),
    "blurred, sigma 2.0% of the side",
)
LISTS = (10_000, 1_000_000)
SMOOTH = "gradient"


Record = dict[str, Any]


def recall(record: Record, name: str, alterations: Sequence[str], radius: int) -> float:
    """Return the mean share of altered images within the radius of their original."""
    shares = []
    for alteration in alterations:
        counts = record["types"][name]["distances"][alteration]["images"]
        shares.append(sum(counts[: radius + 1]) / sum(counts))
    return float(np.mean(shares))


def false_pairs(record: Record, name: str, radius: int, *, smooth: bool) -> tuple[int, int]:
    """Return the number of pairs within the radius, and of all; without gradients unless `smooth`."""
    chosen = [counts for kinds, counts in record["types"][name]["pairs"].items() if smooth or SMOOTH not in kinds]
    return sum(sum(counts[: radius + 1]) for counts in chosen), sum(counts[-1] for counts in chosen)


def false_rate(record: Record, name: str, radius: int, entries: int, *, smooth: bool) -> str:
    """Write the false matches per million lookups on a list of so many entries."""
    found, pairs = false_pairs(record, name, radius, smooth=smooth)
    # Nothing in n trials: fewer than 3 / n with 95 % confidence.
    rate = rounded((found or 3) / pairs * entries * 1e6)
    return rate if found else f"< {rate}"


def rounded(value: float) -> str:
    """Write two digits that count."""
    return f"{float(f'{value:.2g}'):,.12g}"
