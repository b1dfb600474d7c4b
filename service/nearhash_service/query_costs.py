"""What a query costs, as the index expects it from measured times."""

from __future__ import annotations

from nearhash_index import calibration
from nearhash_index.hash_types import HashType
from nearhash_index.store import Generation
from nearhash_index.view import View

__all__ = ["QueryCosts"]


class QueryCosts:
    """Tells the costs of queries of the generation that is served, and remembers them."""

    def __init__(self) -> None:
        self._known: tuple[Generation | None, dict[tuple[str, int], float]] = None, {}

    def query_s(self, view: View, hash_type: HashType, radius: int) -> float:
        """Return the expected time of a query in a batch, on one thread, in seconds.

        Parameters
        ----------
        radius : int
            The widest that is searched, inclusive; -1 if nothing is.
        """
        generation, costs = self._known
        if generation is not view.generation:
            costs = {}
            self._known = view.generation, costs
        key = hash_type.name, radius
        if key not in costs:
            segment = view.generation.segments.get(hash_type.name)
            costs[key] = segment.index.explain(radius).expected_us * 1e-6 if segment and radius >= 0 else 0.0
        added = view.delta.segments.get(hash_type.name)
        if added is None or radius < 0:
            return costs[key]
        return costs[key] + len(added.entry) * calibration.brute_force_ns(hash_type.words, radius) * 1e-9
