"""Reading metrics back, for a terminal: what happened between two scrapes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from itertools import pairwise
from time import monotonic
from urllib.error import URLError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from nearhash_index.errors import InvalidInput

__all__ = ["Between", "Scrape"]

_TIMEOUT_S = 5.0

_Labels = frozenset[tuple[str, str]]


class Scrape:
    """The metrics of one moment.

    Attributes
    ----------
    time_s : float
        On the monotonic clock.
    """

    def __init__(self, text: str) -> None:
        self.time_s = monotonic()
        self._samples: dict[str, dict[_Labels, float]] = defaultdict(dict)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self._samples[sample.name][frozenset(sample.labels.items())] = sample.value

    @classmethod
    def of(cls, url: str) -> Scrape:
        """Ask a server.

        Raises
        ------
        InvalidInput
            If nothing answers there, or something else.
        """
        try:
            with urlopen(url, timeout=_TIMEOUT_S) as response:  # noqa: S310 - the operator's own
                return cls(response.read().decode())
        except (URLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise InvalidInput(
                url, f"no metrics there ({reason}); the server's setting metrics.listen says where"
            ) from None

    def values(self, name: str, label: str, **labels: str) -> Mapping[str, float]:
        """Return the sums of the samples with those labels, by the value of another one."""
        found: dict[str, float] = defaultdict(float)
        for of_sample, value in self._samples[name].items():
            if labels.items() <= of_sample:
                found[dict(of_sample).get(label, "")] += value
        return found

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the samples with those labels; 0 if there are none."""
        return sum(value for of_sample, value in self._samples[name].items() if labels.items() <= of_sample)


class Between:
    """What happened between two scrapes."""

    def __init__(self, before: Scrape, after: Scrape) -> None:
        self._before = before
        self._after = after
        self._seconds = max(after.time_s - before.time_s, 1e-9)

    def increase(self, name: str, **labels: str) -> float:
        """Return by how much a counter grew; from 0, if its server has started anew."""
        before, after = self._before.value(name, **labels), self._after.value(name, **labels)
        return after - before if after >= before else after

    def rate(self, name: str, **labels: str) -> float:
        """Return by how much a counter grew per second."""
        return self.increase(name, **labels) / self._seconds

    def quantile(self, share: float, name: str, **labels: str) -> float | None:
        """Return what that share of a histogram's new observations does not exceed; None without any.

        Between two bounds it is interpolated as Prometheus does, and cannot exceed the last one.
        """
        buckets = [
            (float(bound), self.increase(f"{name}_bucket", le=bound, **labels))
            for bound in self._after.values(f"{name}_bucket", "le", **labels)
        ]
        buckets = [(0.0, 0.0), *sorted(buckets)]
        wanted = share * buckets[-1][1]
        if not wanted:
            return None
        for (low, below), (high, count) in pairwise(buckets):
            if count >= wanted:
                return low if high == float("inf") else low + (high - low) * (wanted - below) / (count - below)
        return None
