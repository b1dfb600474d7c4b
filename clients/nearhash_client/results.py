"""What a lookup answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .hashers import hashers_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Match:
    """An entry within the radius of a hash.

    Attributes
    ----------
    query
        Position of the hash in the batch given to `lookup`, from 0.
    distance
        Hamming distance in bits.
    bank, entry_id, source
        Which entry, and who asserts it.
    labels
        The entry's labels.
    hash
        The entry's own hash, most significant byte first; None unless the caller may read stored hashes.
    hash_index, hash_count
        With `every_hash`: which of the entry's hashes of this type it is, from 0, and how many there are. Else 0.
    """

    query: int
    distance: int
    bank: str
    entry_id: str
    source: str
    labels: tuple[str, ...]
    hash: bytes | None
    hash_index: int = 0
    hash_count: int = 0

    @property
    def hashers(self) -> tuple[str, ...]:
        """What computed the entry's hashes, with versions, as far as its labels tell."""
        return hashers_of(self.labels)


@dataclass(frozen=True, slots=True)
class Unsearchable:
    """A hash that was not searched, because it says too little about its image. That is not "no match".

    Attributes
    ----------
    query
        Position of the hash in the batch given to `lookup`, from 0.
    reason
        For a person: what is wrong with the hash.
    """

    query: int
    reason: str


@dataclass(frozen=True, slots=True)
class Allowed:
    """A hash whose matches are left out because an allowlist knows it.

    Attributes
    ----------
    query
        Position of the hash in the batch given to `lookup`, from 0.
    bank, entry_id, source
        The allowlist, and its nearest entry.
    """

    query: int
    bank: str
    entry_id: str
    source: str


@dataclass(frozen=True, slots=True)
class LookupResult:
    """The answer to one lookup.

    A batch sent in several calls may be answered by several generations while a new one is published; `generation` and
    `sequence` are then the lowest.

    Attributes
    ----------
    generation
        The generation that answered.
    sequence
        Every change up to this sequence is in the answer.
    matches
        Sorted by query, distance, bank and entry id. Hashes without a match do not appear.
    unsearchable
        The hashes that were not searched, by query.
    truncated
        Queries with more matches than the limit; the nearest are in `matches`.
    allowed
        The hashes whose matches are left out because an allowlist knows them, by query.
    """

    generation: int
    sequence: int
    matches: tuple[Match, ...]
    unsearchable: tuple[Unsearchable, ...]
    truncated: tuple[int, ...]
    allowed: tuple[Allowed, ...] = ()

    def by_query(self) -> dict[int, list[Match]]:
        """Return the matches of each query that has any, nearest first."""
        grouped: dict[int, list[Match]] = {}
        for match in self.matches:
            grouped.setdefault(match.query, []).append(match)
        return grouped

    def to_pandas(self) -> pd.DataFrame:
        """Return the matches as a DataFrame, a row each, with the attributes of `Match` as columns.

        Raises
        ------
        ModuleNotFoundError
            If pandas is not installed.
        """
        from .tables import matches_to_pandas  # noqa: PLC0415 - only here is pandas needed

        return matches_to_pandas(self.matches)

    def to_arrow(self) -> pa.Table:
        """Return the matches as an Arrow table, a row each, with the attributes of `Match` as columns.

        Raises
        ------
        ModuleNotFoundError
            If pyarrow is not installed.
        """
        from .tables import matches_to_arrow  # noqa: PLC0415 - only here is pyarrow needed

        return matches_to_arrow(self.matches)


@dataclass(frozen=True, slots=True)
class AnsweredBatch:
    """The answer to a piece of a long lookup: to the hashes from `first_query` up to, not including, `next_query`.

    Attributes
    ----------
    first_query
        Position of the piece's first hash in the whole input.
    next_query
        Where a lookup that is broken off after this piece goes on.
    result
        Its queries are positions in the whole input.
    """

    first_query: int
    next_query: int
    result: LookupResult
