"""What became of calls: their statuses, and their latencies in an HdrHistogram, to three digits up to a minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hdrh.histogram import HdrHistogram

__all__ = ["Answers", "decoded", "together"]

_LONGEST_US = 60_000_000
_DIGITS = 3
_PERCENTILES = (50, 90, 99, 99.9, 100)


@dataclass
class Answers:
    """What became of calls.

    Attributes
    ----------
    seconds : float
        From when the first call was due to the last answer.
    statuses : Counter
        Number of calls by gRPC status. UNSENT: too many were unanswered; UNANSWERED: not even the deadline ended them.
    latencies_s : list of float
        Of the calls answered OK.
    client_cpu_s : float
        What the generator itself used.
    """

    seconds: float
    statuses: Counter[str]
    latencies_s: list[float]
    client_cpu_s: float

    @property
    def ok_per_s(self) -> float:
        """Calls answered OK per second."""
        return self.statuses["OK"] / self.seconds

    def percentile_ms(self, percentile: float) -> float:
        """Return the latency in milliseconds that so many per cent of the calls did not exceed."""
        return float(self.histogram().get_value_at_percentile(percentile)) / 1000

    def histogram(self) -> HdrHistogram:
        """Return the latencies in microseconds."""
        histogram = HdrHistogram(1, _LONGEST_US, _DIGITS)
        for latency_s in self.latencies_s:
            histogram.record_value(min(max(1, round(latency_s * 1e6)), _LONGEST_US))
        return histogram

    def told(self) -> dict[str, Any]:
        """Return what a record keeps: the figures, and the histogram for plots."""
        histogram = self.histogram()
        return {
            "ok_per_s": round(self.ok_per_s, 1),
            "statuses": dict(self.statuses),
            "latency_ms": {f"p{p:g}": histogram.get_value_at_percentile(p) / 1000 for p in _PERCENTILES},
            "client_cpu_share": round(self.client_cpu_s / self.seconds, 3),
            "histogram": histogram.encode().decode(),
        }


def together(parts: Sequence[Answers], seconds: float) -> Answers:
    """Add up what several processes saw of one load, or several loads in turn; they took that long in all."""
    return Answers(
        seconds=seconds,
        statuses=sum((part.statuses for part in parts), Counter()),
        latencies_s=[latency_s for part in parts for latency_s in part.latencies_s],
        client_cpu_s=sum(part.client_cpu_s for part in parts),
    )


def decoded(histogram: str) -> HdrHistogram:
    """Return the histogram that a record keeps."""
    return HdrHistogram.decode(histogram)
