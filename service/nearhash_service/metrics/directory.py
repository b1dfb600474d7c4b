"""What a data directory holds, as metrics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from nearhash_index.errors import NearHashIndexError
from nearhash_index.store import DataDirectory, Registry
from nearhash_index.store.generation import Manifest

__all__ = ["DirectoryMetrics"]


class DirectoryMetrics(Collector):
    """Collects from a data directory and its registry.

    Parameters
    ----------
    directory : DataDirectory
    registry : Registry
    """

    def __init__(self, directory: DataDirectory, registry: Registry) -> None:
        self._directory = directory
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """Yield the families of what is there and can be read."""
        yield GaugeMetricFamily(
            "nearhash_disk_bytes", "Size of registry and generations on disk.", self._directory.size_bytes()
        )
        yield GaugeMetricFamily(
            "nearhash_storage_refuses",
            "1 while the disk takes no changes; the status says why.",
            float(bool(self._directory.write_refusal())),
        )
        with suppress(NearHashIndexError):
            yield from self._of_registry()
        with suppress(NearHashIndexError):
            yield from self._of_published()

    def _of_registry(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("nearhash_registry_sequence", "Number of the last change.", self._registry.sequence())
        entries = GaugeMetricFamily("nearhash_bank_entries", "Entries that are not withdrawn.", labels=["bank"])
        enabled = GaugeMetricFamily("nearhash_bank_enabled", "Whether lookups search the bank.", labels=["bank"])
        radius = GaugeMetricFamily(
            "nearhash_bank_radius_bits", "Radius of the bank, inclusive.", labels=["bank", "hash_type"]
        )
        for bank in self._registry.banks():
            entries.add_metric([bank.name], bank.entry_count)
            enabled.add_metric([bank.name], float(bank.enabled))
            for name, bits in bank.radii.items():
                radius.add_metric([bank.name, name], bits)
        yield from (entries, enabled, radius)

    def _of_published(self) -> Iterator[Metric]:
        current = self._directory.current()
        manifest = Manifest.read(self._directory.generation_path(current.number))
        yield GaugeMetricFamily("nearhash_published_generation", "Generation published last.", manifest.number)
        yield GaugeMetricFamily("nearhash_published_sequence", "Last change in it.", manifest.sequence)
        yield GaugeMetricFamily(
            "nearhash_published_timestamp_seconds", "When it was built.", manifest.create_time.timestamp()
        )
        yield GaugeMetricFamily("nearhash_pinned", "1 while a roll back is pinned.", float(current.pinned))
