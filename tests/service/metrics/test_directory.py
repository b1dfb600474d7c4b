"""What a data directory tells of itself, without a server."""

from nearhash_index.store import DataDirectory, Registry
from nearhash_service.metrics.directory import DirectoryMetrics

from .scraped import Scraped


def test_a_disk_that_takes_no_changes_is_told(data):
    directory = DataDirectory(data)
    with Registry(directory) as registry:

        def refuses() -> float:
            return Scraped(DirectoryMetrics(directory, registry).collect()).total("nearhash_storage_refuses")

        assert refuses() == 0
        # Whoever runs the tests may be allowed to write anywhere; but not into what is not there.
        marker = data / "FORMAT"
        away = marker.rename(data / "away")
        assert refuses() == 1
        away.rename(marker)
        assert refuses() == 0
