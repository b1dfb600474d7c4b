"""One call for an upload: hash it, look everything up, and say what follows."""

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from nearhash_client.aio import AsyncClient
from nearhash_client.client import Client
from nearhash_client.deadline import Deadline
from nearhash_client.errors import NearHashError
from nearhash_client.hashing import ComputedHash, HashingPool, ImageError, Limits, compute

from .policy import Policy
from .verdicts import Answered, Failure, ImageVerdict, NotSearched, judge

Upload = str | os.PathLike[str] | bytes

_DEFAULT_POLICY = Policy()
_DEFAULT_LIMITS = Limits()


def match_image(
    source: Upload,
    *,
    client: Client,
    policy: Policy = _DEFAULT_POLICY,
    banks: Sequence[str] = (),
    timeout_s: float | None = None,
    limits: Limits = _DEFAULT_LIMITS,
    pool: HashingPool | None = None,
) -> ImageVerdict:
    """Hash an image, look all of it up, and say what each bank's matches call for.

    One call for each hash type, with all of its forms; those for the digests are under way while the picture is hashed.
    What fails is told in the verdict, and the rest is answered all the same.

    Parameters
    ----------
    source
        A path, or a file's bytes.
    policy
        What is looked up, and what follows.
    banks
        Names of the banks to search. Empty: every enabled bank.
    timeout_s
        For all of it, in seconds. A picture that is being hashed is not interrupted, unless a pool hashes it.
    limits
        Bounds on what is decoded.
    pool
        Hashes in its processes, which end what takes too long or crashes.

    Raises
    ------
    InvalidRequest
        If `timeout_s` is not above 0, or the policy names what does not exist.
    OSError
        If the file cannot be read.
    """
    deadline = Deadline(timeout_s)

    def look_up(hashes: list[ComputedHash]) -> Answered | Failure:
        values, hash_type = [item.value for item in hashes], hashes[0].hash_type
        try:
            found = client.lookup(values, hash_type=hash_type, banks=banks, timeout_s=deadline.remaining_s())
        except NearHashError as error:
            return failure(hash_type, error)
        return hashes, found

    with ThreadPoolExecutor(max(len(policy.digests) + len(policy.perceptual), 1)) as calls:
        exact, unread = _digests(source, policy)
        under_way = [calls.submit(look_up, [item]) for item in exact]
        hashes, not_searched, unhashed = _perceptual(source, policy, limits, pool)
        under_way += [calls.submit(look_up, of_type) for of_type in hashes]
        return _verdict(policy, [call.result() for call in under_way], not_searched, unread + unhashed)


async def match_image_async(
    source: Upload,
    *,
    client: AsyncClient,
    policy: Policy = _DEFAULT_POLICY,
    banks: Sequence[str] = (),
    timeout_s: float | None = None,
    limits: Limits = _DEFAULT_LIMITS,
    pool: HashingPool | None = None,
) -> ImageVerdict:
    """Do what `match_image` does, hashing in a thread."""
    deadline = Deadline(timeout_s)

    async def look_up(hashes: list[ComputedHash]) -> Answered | Failure:
        values, hash_type = [item.value for item in hashes], hashes[0].hash_type
        try:
            found = await client.lookup(values, hash_type=hash_type, banks=banks, timeout_s=deadline.remaining_s())
        except NearHashError as error:
            return failure(hash_type, error)
        return hashes, found

    exact, unread = await asyncio.to_thread(_digests, source, policy)
    async with asyncio.TaskGroup() as calls:
        under_way = [calls.create_task(look_up([item])) for item in exact]
        hashes, not_searched, unhashed = await asyncio.to_thread(_perceptual, source, policy, limits, pool)
        under_way += [calls.create_task(look_up(of_type)) for of_type in hashes]
    return _verdict(policy, [call.result() for call in under_way], not_searched, unread + unhashed)


def failure(hash_type: str, error: Exception) -> Failure:
    """Return what is told of an error."""
    return Failure(hash_type, type(error).__name__, str(error))


def _digests(source: Upload, policy: Policy) -> tuple[tuple[ComputedHash, ...], list[Failure]]:
    """Return the digests of the file, or why there are none."""
    try:
        return (compute(source, policy.digests) if policy.digests else ()), []
    except ImageError as error:
        return (), [failure(name, error) for name in policy.digests]


def _perceptual(
    source: Upload, policy: Policy, limits: Limits, pool: HashingPool | None
) -> tuple[list[list[ComputedHash]], list[NotSearched], list[Failure]]:
    """Return the perceptual hashes to look up, by type; those that tell too little; and the types that have none."""
    if not policy.perceptual:
        return [], [], []
    compute_it = pool.compute if pool else compute
    try:
        hashes = compute_it(source, policy.perceptual, forms=policy.forms, letterbox=policy.letterbox, limits=limits)
    except ImageError as error:
        return [], [], [failure(name, error) for name in policy.perceptual]
    low = [item for item in hashes if item.quality is not None and item.quality < policy.min_quality]
    by_type: dict[str, list[ComputedHash]] = {}
    for item in hashes:
        if item not in low:
            by_type.setdefault(item.hash_type, []).append(item)
    return list(by_type.values()), [_too_little(item) for item in low], []


def _too_little(item: ComputedHash) -> NotSearched:
    return NotSearched(item.hash_type, item.form, f"quality {item.quality}: the picture tells too little")


def _verdict(
    policy: Policy, answers: list[Answered | Failure], not_searched: list[NotSearched], failures: list[Failure]
) -> ImageVerdict:
    failed = [answer for answer in answers if isinstance(answer, Failure)]
    return judge(policy, [each for each in answers if not isinstance(each, Failure)], not_searched, failed + failures)
