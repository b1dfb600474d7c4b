"""What a lookup answers."""

from dataclasses import dataclass


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
    """

    query: int
    distance: int
    bank: str
    entry_id: str
    source: str
    labels: tuple[str, ...]
    hash: bytes | None


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
