"""What administration answers: the messages of banks.proto as dataclasses with the same fields.

Hash types are names from `HASH_TYPES`, times are in UTC, and what the server leaves unset is None.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from nearhash.v1 import banks_pb2, lookup_pb2

from .changes import EntryKey


@dataclass(frozen=True, slots=True)
class Bank:
    """A bank. `radii` are inclusive, in bits; `entry_count` leaves out withdrawn entries."""

    name: str
    radii: Mapping[str, int]
    enabled: bool
    labels: tuple[str, ...]
    entry_count: int
    allowlist: bool


@dataclass(frozen=True, slots=True)
class AppliedChanges:
    """What changes did, and the registry's sequence after them.

    Withheld are upserts of entries that are withdrawn; `older` are positions of changes that were not made because
    their source is known to have stated something later.
    """

    sequence: int
    added: int
    updated: int
    removed: int
    unchanged: int
    withheld: int
    older: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Generation:
    """A generation, with every change up to `sequence`. `segments`: hashes asserted by entries, by hash type."""

    number: int
    sequence: int
    create_time: datetime
    entry_count: int
    size_bytes: int
    segments: Mapping[str, int]
    current: bool
    pinned: bool


@dataclass(frozen=True, slots=True)
class BankDiff:
    """What publishing would change in a bank, in entries."""

    bank: str
    added: int
    updated: int
    removed: int


@dataclass(frozen=True, slots=True)
class Publication:
    """What was published; in a dry run `generation` is None, and `diffs` tell what would change."""

    generation: Generation | None
    diffs: tuple[BankDiff, ...]


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """What the registry knows of an entry, its hashes aside: `state` is active, disabled or withdrawn."""

    key: EntryKey
    state: str
    disabled_until: datetime | None
    hash_types: tuple[str, ...]
    quarantined_hash_types: tuple[str, ...]
    labels: tuple[str, ...]
    quality: int | None
    create_time: datetime
    update_time: datetime
    matched: bool
    stated_time: datetime | None


@dataclass(frozen=True, slots=True)
class StoredEntries:
    """The entries of one id, by source, and what the worker serves that says whether they are `matched`."""

    entries: tuple[StoredEntry, ...]
    generation: int
    sequence: int


@dataclass(frozen=True, slots=True)
class QuarantinedEntry:
    """An entry with quarantined hashes: the type of each, and why."""

    key: EntryKey
    labels: tuple[str, ...]
    hash_types: tuple[str, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Author:
    """Who made a change, and why."""

    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One operation: the changes from `first_sequence` to `last_sequence`, inclusive; outcomes counted by name."""

    time: datetime
    author: Author
    bank: str
    action: str
    first_sequence: int
    last_sequence: int
    counts: Mapping[str, int]
    entries: tuple[EntryKey, ...]


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """What a worker serves: `generation` 0 if nothing yet, with every change up to `sequence`."""

    process_id: int
    generation: int
    start_time: datetime
    reload_error: str
    sequence: int
    delta_entry_count: int


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """How a worker searches a hash type at the widest radius of the banks."""

    hash_type: str
    radius: int
    path: str
    band_bits: tuple[int, ...]
    thresholds: tuple[int, ...]
    probes: int
    candidates: float
    expected_us: float
    bytes_per_hash: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class BuildStatus:
    """A build under way: `step_number` of `step_count`."""

    generation: int
    step: str
    step_number: int
    step_count: int
    start_time: datetime


@dataclass(frozen=True, slots=True)
class Status:
    """What is published, what waits, and what each worker serves.

    Attributes
    ----------
    storage_error : str
        Why the disk takes no changes at present; empty if it does.
    """

    sequence: int
    current: Generation | None
    banks: tuple[Bank, ...]
    worker: WorkerStatus
    workers: tuple[WorkerStatus, ...]
    disk_size_bytes: int
    plans: tuple[SearchPlan, ...]
    build: BuildStatus | None
    storage_error: str


@dataclass(frozen=True, slots=True)
class RadiusEstimate:
    """What to expect at one radius, inclusive, per million lookups; `matches` lies between the other two with 95 %."""

    radius: int
    matches: float
    matches_low: float
    matches_high: float
    counted_share: float
    list_matches: float
    uniform_matches: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """Random matches of a bank by radius; banks.proto explains each field, at EstimateMatchesResponse."""

    generation: int
    hash_count: int
    effective_bits: float
    copies_radius: int | None
    estimates: tuple[RadiusEstimate, ...]
    many_alike: bool


R = TypeVar("R")

_WORD = re.compile(r"[A-Z][a-z]*")

RESULTS: Mapping[type[Message], type] = {
    banks_pb2.ApplyChangesResponse: AppliedChanges,
    banks_pb2.AuditRecord: AuditRecord,
    banks_pb2.Author: Author,
    banks_pb2.Bank: Bank,
    banks_pb2.BankDiff: BankDiff,
    banks_pb2.BuildStatus: BuildStatus,
    banks_pb2.EntryKey: EntryKey,
    banks_pb2.EstimateMatchesResponse: Estimate,
    banks_pb2.Generation: Generation,
    banks_pb2.GetEntryResponse: StoredEntries,
    banks_pb2.GetStatusResponse: Status,
    banks_pb2.PublishResponse: Publication,
    banks_pb2.QuarantinedEntry: QuarantinedEntry,
    banks_pb2.RadiusEstimate: RadiusEstimate,
    banks_pb2.SearchPlan: SearchPlan,
    banks_pb2.StoredEntry: StoredEntry,
    banks_pb2.WorkerStatus: WorkerStatus,
}

_BY_HASH_TYPE: Mapping[str, Callable[[Any], int]] = {
    banks_pb2.Radius.DESCRIPTOR.full_name: lambda message: message.radius,
    banks_pb2.SegmentInfo.DESCRIPTOR.full_name: lambda message: message.hash_count,
}
"""Lists of these become mappings."""


def result_of(message: Message, kind: type[R]) -> R:
    """Return a message as the dataclass that `RESULTS` has for it."""
    by_name = message.DESCRIPTOR.fields_by_name
    return kind(**{field.name: _value(message, by_name[field.name]) for field in fields(cast("Any", kind))})


def _value(message: Message, field: Any) -> Any:
    if field.has_presence and not message.HasField(field.name):
        return None
    value = getattr(message, field.name)
    if isinstance(value, Mapping):
        return dict(value)
    if not isinstance(value, Sequence) or isinstance(value, str):
        return _item(value, field)
    number = _BY_HASH_TYPE.get(field.message_type.full_name) if field.message_type else None
    if number is not None:
        return {_name(lookup_pb2.HashType.DESCRIPTOR, item.hash_type): number(item) for item in value}
    return tuple(_item(item, field) for item in value)


def _item(value: Any, field: Any) -> Any:
    if isinstance(value, Timestamp):
        return value.ToDatetime(tzinfo=UTC)
    if isinstance(value, Message):
        return result_of(value, RESULTS[type(value)])
    return _name(field.enum_type, value) if field.enum_type else value


def _name(enum: EnumDescriptor, number: int) -> str:
    """Return what an enum's value is called here; its number, if the server knows one that this client does not."""
    value = enum.values_by_number.get(number)
    if value is None:
        return str(number)
    # HASH_TYPE_PHASH64 is phash64, ENTRY_STATE_ACTIVE is active.
    words = value.name.lower().split("_")
    return "_".join(words[len(_WORD.findall(enum.name)) :])
