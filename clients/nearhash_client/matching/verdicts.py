"""What is known of an upload after it was looked up. Nothing here holds a hash: verdicts end up in logs."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from nearhash_client.hashers import hashers_of
from nearhash_client.hashing import ComputedHash
from nearhash_client.results import LookupResult

from .policy import Action, Policy


@dataclass(frozen=True, slots=True)
class Reason:
    """A match of one hash of the upload with an entry.

    Attributes
    ----------
    action
        What it calls for.
    hash_type, form, frame, cropped
        Which hash of the upload matched: how the picture was turned, which frame it is, from 0, and whether bars were
        cut off. A digest has the form "original" and frame 0.
    distance
        In bits.
    bank, entry_id, source, labels
        The entry.
    """

    action: Action
    hash_type: str
    form: str
    frame: int
    cropped: bool
    distance: int
    bank: str
    entry_id: str
    source: str
    labels: tuple[str, ...]

    @property
    def hashers(self) -> tuple[str, ...]:
        """What computed the entry's hashes, with versions, as far as its labels tell."""
        return hashers_of(self.labels)


@dataclass(frozen=True, slots=True)
class BankVerdict:
    """What a bank says: its strongest action, and all matches, the strongest and nearest first."""

    bank: str
    action: Action
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class AllowedBy:
    """A hash whose matches are left out because an allowlist knows it. Empty names: one that the caller may not see."""

    hash_type: str
    form: str
    bank: str
    entry_id: str
    source: str


@dataclass(frozen=True, slots=True)
class NotSearched:
    """A hash that says too little to be looked up. That is not "no match"."""

    hash_type: str
    form: str
    reason: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A hash type of which nothing is known, and why: it could not be computed, or not be looked up.

    Attributes
    ----------
    kind
        The name of the error's class, such as ``Unavailable`` or ``TruncatedImage``.
    error
        What it says.
    """

    hash_type: str
    kind: str
    error: str


@dataclass(frozen=True, slots=True)
class ImageVerdict:
    """What is known of an image.

    Attributes
    ----------
    action
        The strongest of all banks; None if nothing matched.
    banks
        Those with matches, by strength, then by name.
    allowed
        What an allowlist knows. If it knows a digest, it knows this very file: `banks` is empty then.
    not_searched
        Hashes that were not looked up.
    truncated
        Hash types of which some hash has more matches than the server gives out.
    failures
        What is not known. Whether to let an upload pass then is for the caller to decide.
    """

    action: Action | None
    banks: tuple[BankVerdict, ...]
    allowed: tuple[AllowedBy, ...]
    not_searched: tuple[NotSearched, ...]
    truncated: tuple[str, ...]
    failures: tuple[Failure, ...]

    @property
    def complete(self) -> bool:
        """Whether everything asked for was looked up."""
        return not self.failures

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        return asdict(self) | {"complete": self.complete}


Answered = tuple[list[ComputedHash], LookupResult]
"""Hashes of one type, and the answer to them."""


def judge(
    policy: Policy, answered: Iterable[Answered], not_searched: Iterable[NotSearched], failures: Iterable[Failure]
) -> ImageVerdict:
    """Return the verdict on an image from the answers, one for each hash type."""
    answers = [(hashes, result) for hashes, result in answered if hashes]
    allowed = tuple(
        AllowedBy(hashes[item.query].hash_type, hashes[item.query].form, item.bank, item.entry_id, item.source)
        for hashes, result in answers
        for item in result.allowed
    )
    is_known_file = any(hashes[0].frame is None and result.allowed for hashes, result in answers)
    banks = () if is_known_file else _by_bank(reason for each in answers for reason in _reasons(policy, *each))
    unsearchable = (
        NotSearched(hashes[item.query].hash_type, hashes[item.query].form, item.reason)
        for hashes, result in answers
        for item in result.unsearchable
    )
    return ImageVerdict(
        action=banks[0].action if banks else None,
        banks=banks,
        allowed=allowed,
        not_searched=(*not_searched, *unsearchable),
        truncated=tuple(hashes[0].hash_type for hashes, result in answers if result.truncated),
        failures=tuple(failures),
    )


def _reasons(policy: Policy, hashes: list[ComputedHash], result: LookupResult) -> Iterator[Reason]:
    for match in result.matches:
        item = hashes[match.query]
        yield Reason(
            action=policy.action(match.bank, item.hash_type, match.distance),
            hash_type=item.hash_type,
            form=item.form,
            frame=item.frame.number if item.frame else 0,
            cropped=bool(item.frame and item.frame.cropped),
            distance=match.distance,
            bank=match.bank,
            entry_id=match.entry_id,
            source=match.source,
            labels=match.labels,
        )


def _by_bank(reasons: Iterable[Reason]) -> tuple[BankVerdict, ...]:
    grouped: dict[str, list[Reason]] = {}
    for reason in reasons:
        grouped.setdefault(reason.bank, []).append(reason)
    verdicts = []
    for bank, found in grouped.items():
        found.sort(key=lambda reason: (-reason.action.strength, reason.distance))
        verdicts.append(BankVerdict(bank, found[0].action, tuple(found)))
    return tuple(sorted(verdicts, key=lambda verdict: (-verdict.action.strength, verdict.bank)))
