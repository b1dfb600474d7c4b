"""Changes of entries, and the messages that carry them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from nearhash.v1 import banks_pb2
from nearhash_client.errors import InvalidRequest, invalid
from nearhash_client.hash_types import find_hash_type
from nearhash_client.hashers import labels_with_hashers
from nearhash_client.packing import pack
from nearhash_client.requests import checked_int


@dataclass(frozen=True, slots=True)
class EntryKey:
    """Names an entry within a bank.

    Attributes
    ----------
    entry_id
        1 to 255 bytes of UTF-8.
    source
        Who asserts the entry.
    """

    entry_id: str
    source: str = "local"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a source asserts about one image or video.

    Attributes
    ----------
    key
        Its name.
    hashes
        Pairs of a name from `HASH_TYPES` and a hash as `Client.lookup` takes it. 1 to 255, here and in `quarantined`;
        several PDQ hashes can be the frames of a video.
    labels
        For whoever gets a match: at most 32, `hashers` included.
    quality
        Of the PDQ hash, 0 to 100.
    quarantined
        Hashes to keep aside because they would match too much: degenerate, or of low quality.
    hashers
        What computed the hashes, with versions, as `ComputedHash.hasher` tells; `Match.hashers` has them.
    """

    key: EntryKey
    hashes: Sequence[tuple[str, object]]
    labels: Sequence[str] = ()
    quality: int | None = None
    quarantined: Sequence[tuple[str, object]] = ()
    hashers: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Upsert:
    """Adds an entry or replaces it whole. One that is withdrawn stays so.

    Attributes
    ----------
    stated_time
        When its source stated it, aware of its zone: nothing is changed if a later statement is known. None: no matter.
    """

    entry: Entry
    stated_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Remove:
    """Forgets an entry; a list may bring it again. Removing one that is not there changes nothing."""

    key: EntryKey


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Stops matching an entry for good, even after a roll back or when a list brings it again; forgets its hashes.

    With a `stated_time`, as of an `Upsert`, it holds against what its source stated before; without, until reinstated.
    """

    key: EntryKey
    stated_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Disable:
    """Stops matching an entry: until a time, which is aware of its zone and counts to the second, or until enabled."""

    key: EntryKey
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Enable:
    """Matches a disabled entry again."""

    key: EntryKey


@dataclass(frozen=True, slots=True)
class Reinstate:
    """Forgets that an entry was withdrawn, so that it can be added again."""

    key: EntryKey


@dataclass(frozen=True, slots=True)
class Unquarantine:
    """Matches an entry's quarantined hashes, now and when a list brings them again."""

    key: EntryKey


Change = Upsert | Remove | Withdraw | Disable | Enable | Reinstate | Unquarantine


def change_message(change: Change, field: str) -> banks_pb2.Change:
    """Return a change as a message; raise InvalidRequest, naming `field` and what follows it."""
    match change:
        case Upsert(entry, stated):
            message = _entry_message(entry, f"{field}.entry")
            return banks_pb2.Change(upsert=message, stated_time=_time(stated, f"{field}.stated_time"))
        case Disable(key, until):
            return banks_pb2.Change(disable=banks_pb2.Disable(key=_key(key), until=_time(until, f"{field}.until")))
        case Remove(key):
            return banks_pb2.Change(remove=_key(key))
        case Withdraw(key, stated):
            return banks_pb2.Change(withdraw=_key(key), stated_time=_time(stated, f"{field}.stated_time"))
        case Enable(key):
            return banks_pb2.Change(enable=_key(key))
        case Reinstate(key):
            return banks_pb2.Change(reinstate=_key(key))
        case Unquarantine(key):
            return banks_pb2.Change(unquarantine=_key(key))
    raise invalid(field, f"found {type(change).__name__}; it is one of the changes of nearhash_client.admin")


def _entry_message(entry: Entry, field: str) -> banks_pb2.Entry:
    return banks_pb2.Entry(
        key=_key(entry.key),
        hashes=_hashes(entry.hashes, f"{field}.hashes"),
        labels=labels_with_hashers(entry.labels, entry.hashers),
        quality=None if entry.quality is None else checked_int(f"{field}.quality", entry.quality, 0, 100),
        quarantined=_hashes(entry.quarantined, f"{field}.quarantined"),
    )


def _hashes(hashes: Sequence[tuple[str, object]], field: str) -> list[banks_pb2.Hash]:
    messages = []
    for i, (name, value) in enumerate(hashes):
        hash_type = find_hash_type(name)
        try:
            messages.append(banks_pb2.Hash(hash_type=hash_type.number, value=pack([value], hash_type)))
        except InvalidRequest as error:
            raise invalid(f"{field}[{i}]", error.violations[0].description) from error
    return messages


def _key(key: EntryKey) -> banks_pb2.EntryKey:
    return banks_pb2.EntryKey(entry_id=key.entry_id, source=key.source)


def _time(time: datetime | None, field: str) -> Timestamp | None:
    if time is None:
        return None
    if time.tzinfo is None:
        raise invalid(field, "found a time without a zone; give it one, such as datetime.UTC")
    return Timestamp(seconds=int(time.timestamp()))
