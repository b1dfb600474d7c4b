"""One call for a video: the file itself first, then its frames. Needs the extra `video`."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from nearhash_client.aio import AsyncClient
from nearhash_client.client import Client
from nearhash_client.deadline import Deadline
from nearhash_client.errors import NearHashError
from nearhash_client.hashing import HashingPool, ImageError, Limits
from nearhash_client.hashing.video import ComputedVideo, Sampling, compute_video
from nearhash_client.requests import LookupOptions
from nearhash_client.results import LookupResult, Match

from .images import Upload, failure, match_image, match_image_async
from .policy import Action, Policy
from .verdicts import Failure, ImageVerdict

_DEFAULT_POLICY = Policy()
_DEFAULT_LIMITS = Limits()
_MATCHES_PER_FRAME = 10_000
"""The most that a server gives out: a listed video has many hashes."""


@dataclass(frozen=True, slots=True)
class VideoReason:
    """An entry some of whose frames match some of the upload's.

    Attributes
    ----------
    action
        What it calls for.
    bank, entry_id, source, labels
        The entry.
    query_frames, query_share
        How many of the upload's frames match one of the entry's, and what share of those looked up.
    entry_frames, entry_share
        How many of the entry's frames one of the upload's matches, and what share of its frames.
    distance
        Of the nearest two frames, in bits.
    """

    action: Action
    bank: str
    entry_id: str
    source: str
    labels: tuple[str, ...]
    query_frames: int
    query_share: float
    entry_frames: int
    entry_share: float
    distance: int


@dataclass(frozen=True, slots=True)
class VideoVerdict:
    """What is known of a video.

    Attributes
    ----------
    action
        The strongest of `file` and `entries`; None if nothing matched.
    file
        What the digests of the file say.
    entries
        Entries whose frames match, the strongest first. Empty if the file itself blocks or is allowed: its frames are
        not looked up then.
    frames
        How many frames were looked up.
    stopped_by
        Why the rest of the video was not hashed; empty if all of it was.
    truncated
        Whether some frame has more matches than the server gives out; the shares may be too low then.
    failures
        What is not known, that of `file` included.
    """

    action: Action | None
    file: ImageVerdict
    entries: tuple[VideoReason, ...] = ()
    frames: int = 0
    stopped_by: str = ""
    truncated: bool = False
    failures: tuple[Failure, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everything asked for was looked up."""
        return not self.failures and not self.stopped_by

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        return asdict(self) | {"complete": self.complete}


def match_video(
    source: Upload,
    *,
    client: Client,
    policy: Policy = _DEFAULT_POLICY,
    banks: Sequence[str] = (),
    sampling: Sampling = "seconds",
    timeout_s: float | None = None,
    limits: Limits = _DEFAULT_LIMITS,
    pool: HashingPool | None = None,
) -> VideoVerdict:
    """Look a video up: its file by the policy's digests, then its frames by PDQ, all in one lookup.

    An entry with several PDQ hashes is a listed video. Of each whose frames match, both shares are told: of the
    upload's frames that match one of the entry's, and of the entry's frames that are matched. `policy.video` says which
    block.

    Parameters
    ----------
    source
        A path, or a file's bytes.
    sampling
        As for `compute_video`.
    policy, banks, timeout_s, limits, pool
        As for `match_image`.

    Raises
    ------
    InvalidRequest, OSError
        As `match_image` does.
    """
    deadline = Deadline(timeout_s)
    exact_alone = replace(policy, perceptual=())
    file = match_image(source, client=client, policy=exact_alone, banks=banks, timeout_s=timeout_s, limits=limits)
    if _settled_by(file):
        return VideoVerdict(file.action, file, failures=file.failures)
    try:
        video = _hashed(source, policy, sampling, limits, pool)
        found = (
            client.lookup(_values(video), timeout_s=deadline.remaining_s(), **_terms(banks)) if video.hashes else None
        )
    except (ImageError, NearHashError) as error:
        return _of_file_alone(file, error)
    return _verdict(policy, file, video, found)


async def match_video_async(
    source: Upload,
    *,
    client: AsyncClient,
    policy: Policy = _DEFAULT_POLICY,
    banks: Sequence[str] = (),
    sampling: Sampling = "seconds",
    timeout_s: float | None = None,
    limits: Limits = _DEFAULT_LIMITS,
    pool: HashingPool | None = None,
) -> VideoVerdict:
    """Do what `match_video` does, hashing in a thread."""
    deadline = Deadline(timeout_s)
    file = await match_image_async(
        source,
        client=client,
        policy=replace(policy, perceptual=()),
        banks=banks,
        timeout_s=timeout_s,
        limits=limits,
    )
    if _settled_by(file):
        return VideoVerdict(file.action, file, failures=file.failures)
    try:
        video = await asyncio.to_thread(_hashed, source, policy, sampling, limits, pool)
        found = None
        if video.hashes:
            found = await client.lookup(_values(video), timeout_s=deadline.remaining_s(), **_terms(banks))
    except (ImageError, NearHashError) as error:
        return _of_file_alone(file, error)
    return _verdict(policy, file, video, found)


def _settled_by(file: ImageVerdict) -> bool:
    """Tell whether the frames need not be looked up."""
    return file.action is Action.BLOCK or bool(file.allowed)


def _hashed(
    source: Upload, policy: Policy, sampling: Sampling, limits: Limits, pool: HashingPool | None
) -> ComputedVideo:
    hash_it = partial(compute_video, sampling=sampling, min_quality=policy.min_quality, limits=limits)
    return pool.run(hash_it, source) if pool else hash_it(source)


def _values(video: ComputedVideo) -> list[bytes]:
    return [item.value for item in video.hashes]


def _terms(banks: Sequence[str]) -> LookupOptions:
    return {
        "hash_type": "pdq256",
        "banks": banks,
        "max_matches_per_hash": _MATCHES_PER_FRAME,
        "every_hash": True,
    }


def _of_file_alone(file: ImageVerdict, error: Exception) -> VideoVerdict:
    return VideoVerdict(file.action, file, failures=(*file.failures, failure("pdq256", error)))


def _verdict(policy: Policy, file: ImageVerdict, video: ComputedVideo, found: LookupResult | None) -> VideoVerdict:
    entries = _by_entry(policy, found, len(video.hashes)) if found else ()
    actions = [entry.action for entry in entries] + ([file.action] if file.action else [])
    return VideoVerdict(
        action=max(actions, key=lambda action: action.strength, default=None),
        file=file,
        entries=entries,
        frames=len(video.hashes),
        stopped_by=video.stopped_by,
        truncated=bool(found and found.truncated),
        failures=file.failures,
    )


def _by_entry(policy: Policy, found: LookupResult, frames: int) -> tuple[VideoReason, ...]:
    matches: dict[tuple[str, str, str], list[Match]] = {}
    for match in found.matches:
        matches.setdefault((match.bank, match.entry_id, match.source), []).append(match)
    reasons = [_reason(policy, of_entry, frames) for of_entry in matches.values()]
    return tuple(sorted(reasons, key=lambda reason: (-reason.action.strength, -reason.query_share, reason.entry_id)))


def _reason(policy: Policy, matches: list[Match], frames: int) -> VideoReason:
    first = matches[0]
    query_frames = len({match.query for match in matches})
    entry_frames = len({match.hash_index for match in matches})
    query_share, entry_share = query_frames / frames, entry_frames / first.hash_count
    rule = policy.video
    blocks = query_share >= rule.min_query_share and entry_share >= rule.min_entry_share
    return VideoReason(
        action=Action.BLOCK if blocks else Action.REVIEW,
        bank=first.bank,
        entry_id=first.entry_id,
        source=first.source,
        labels=first.labels,
        query_frames=query_frames,
        query_share=query_share,
        entry_frames=entry_frames,
        entry_share=entry_share,
        distance=min(match.distance for match in matches),
    )
