"""What one process counts.

Counting happens in the process's own memory, and costs a call a microsecond or two: nothing is shared, written to a
file or looked up by label on the way. The supervisor asks for the figures when somebody wants to see them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.process_collector import ProcessCollector

from nearhash_index.errors import Pinned, StoreBusy
from nearhash_service.metrics.calls import CallCounts
from nearhash_service.metrics.lookups import LookupCounts
from nearhash_service.metrics.waits import Waits

__all__ = ["Instruments"]

_BUILD_SECONDS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000)


class Instruments:
    """The metrics of one process.

    Attributes
    ----------
    own : CollectorRegistry
        What is told apart by worker: it gets the label `worker`.
    joint : CollectorRegistry
        What is added up over all processes, because it has many labels, or because it does not matter which did it.
    calls : CallCounts
    lookups : LookupCounts
    waits : Waits
    """

    def __init__(self) -> None:
        # Series that tell when another one was created: nobody looks at them, and they do not add up.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.own = CollectorRegistry()
        self.joint = CollectorRegistry()
        self.calls = CallCounts()
        self.own.register(self.calls)
        self.lookups = LookupCounts()
        self.own.register(self.lookups.queries)
        self.joint.register(self.lookups)
        self.waits = Waits()
        self.joint.register(self.waits)
        self.build_seconds = Histogram(
            "nearhash_build_seconds", "Time of builds that were published.", buckets=_BUILD_SECONDS, registry=self.joint
        )
        self.builds = Counter(
            "nearhash_builds", "Builds by this server, published or failed.", ["result"], registry=self.joint
        )
        self.refused = Counter(
            "nearhash_refused", "Calls refused because too many wait, by lane.", ["lane"], registry=self.joint
        )
        ProcessCollector(registry=self.own)

    @contextmanager
    def timing_build(self) -> Iterator[None]:
        """Count and time a build. One that did not begin, since another one runs or a generation is pinned, is none."""
        begin_s = perf_counter()
        try:
            yield
        except (StoreBusy, Pinned):
            raise
        except Exception:
            self.builds.labels("failed").inc()
            raise
        self.builds.labels("published").inc()
        self.build_seconds.observe(perf_counter() - begin_s)
