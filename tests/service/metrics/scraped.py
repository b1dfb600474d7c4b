"""Metrics as a test wants to see them: values by name and labels."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterable

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families


class Scraped:
    """Samples of one moment."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self.families = list(families)

    @classmethod
    def over_http(cls, url: str) -> Scraped:
        with urllib.request.urlopen(url, timeout=20) as response:  # noqa: S310 - a server of the test's own
            assert response.headers["Content-Type"].startswith("text/plain; version=")
            return cls(text_string_to_metric_families(response.read().decode()))

    def values(self, name: str, **labels: str) -> dict[tuple[str, ...], float]:
        """Return the samples of that name with those labels, by the values of their other labels."""
        return {
            tuple(value for label, value in sorted(sample.labels.items()) if label not in labels): sample.value
            for family in self.families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        }

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of that name with those labels."""
        return sum(self.values(name, **labels).values())

    def names(self) -> set[str]:
        return {sample.name for family in self.families for sample in family.samples}
