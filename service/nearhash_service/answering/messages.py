"""Between wire messages and the engine's values."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.timestamp_pb2 import Timestamp

from nearhash.v1 import banks_pb2
from nearhash_index.codes import codes_from_bytes
from nearhash_index.degenerate import degenerate_reason, degenerate_rows
from nearhash_index.entries import Bank, Entry, EntryKey, Hash
from nearhash_index.errors import InvalidInput
from nearhash_index.estimate import MatchEstimate
from nearhash_index.explain import Explanation
from nearhash_index.hash_types import HASH_TYPES, check_radius
from nearhash_index.store import Current
from nearhash_index.store.audit import AuditRecord
from nearhash_index.store.build_progress import BuildProgress
from nearhash_index.store.changes import (
    Change,
    Disable,
    Enable,
    Reinstate,
    Remove,
    Unquarantine,
    Upsert,
    Withdraw,
)
from nearhash_index.store.generation import Manifest
from nearhash_index.store.records import StoredEntry
from nearhash_service.answering.wire_types import hash_type_number, hash_type_of
from nearhash_service.answering.worker_board import WorkerNote

__all__ = [
    "audit_message",
    "bank_message",
    "build_message",
    "change_message",
    "change_of",
    "estimate_message",
    "generation_message",
    "plan_message",
    "quarantined_message",
    "radii_messages",
    "radii_of",
    "stored_message",
    "worker_message",
]


def radii_of(radii: Iterable[banks_pb2.Radius]) -> dict[str, int]:
    """Return radii by the name of their type; raise InvalidInput if one is wrong or a type is named twice."""
    found: dict[str, int] = {}
    for i, item in enumerate(radii):
        hash_type = hash_type_of(item.hash_type, f"radii[{i}].hash_type")
        if hash_type.name in found:
            raise InvalidInput(f"radii[{i}].hash_type", f"{hash_type.name} is named twice; name each hash type once")
        found[hash_type.name] = check_radius(hash_type, item.radius, f"radii[{i}].radius")
    return found


def radii_messages(radii: dict[str, int]) -> list[banks_pb2.Radius]:
    """Return messages for radii by the name of their type, in the order of the types' numbers."""
    return [
        banks_pb2.Radius(hash_type=hash_type_number(name), radius=radii[name]) for name in HASH_TYPES if name in radii
    ]


def bank_message(bank: Bank) -> banks_pb2.Bank:
    """Return the message for a bank."""
    return banks_pb2.Bank(
        name=bank.name,
        radii=radii_messages(dict(bank.radii)),
        enabled=bank.enabled,
        labels=bank.labels,
        entry_count=bank.entry_count,
        allowlist=bank.allowlist,
    )


def change_of(change: banks_pb2.Change, field: str) -> Change:
    """Return the change that a message asks for; raise InvalidInput if it asks for none."""
    kind = change.WhichOneof("change")
    stated_s = change.stated_time.seconds
    if stated_s and kind not in {"upsert", "withdraw"}:
        raise InvalidInput(f"{field}.stated_time", "only upserts and withdrawals have one; leave it unset")
    match kind:
        case "upsert":
            return Upsert(_entry_of(change.upsert, f"{field}.upsert"), stated_s)
        case "remove":
            return Remove(_key_of(change.remove))
        case "withdraw":
            return Withdraw(_key_of(change.withdraw), stated_s)
        case "disable":
            return Disable(_key_of(change.disable.key), change.disable.until.seconds)
        case "enable":
            return Enable(_key_of(change.enable))
        case "reinstate":
            return Reinstate(_key_of(change.reinstate))
        case "unquarantine":
            return Unquarantine(_key_of(change.unquarantine))
        case _:
            names = ", ".join(banks_pb2.Change.DESCRIPTOR.fields_by_name)
            raise InvalidInput(field, f"empty; set one of {names}")


def change_message(change: Change) -> banks_pb2.Change:
    """Return the message for a change."""
    key = banks_pb2.EntryKey(source=change.key.source, entry_id=change.key.entry_id)
    match change:
        case Upsert(entry, stated_s):
            message = banks_pb2.Entry(
                key=key,
                hashes=_hash_messages(entry.hashes),
                labels=entry.labels,
                quality=entry.quality,
                quarantined=_hash_messages(entry.quarantined),
            )
            return banks_pb2.Change(upsert=message, stated_time=_time_message(stated_s))
        case Remove():
            return banks_pb2.Change(remove=key)
        case Withdraw(_, stated_s):
            return banks_pb2.Change(withdraw=key, stated_time=_time_message(stated_s))
        case Disable(_, until_s):
            return banks_pb2.Change(disable=banks_pb2.Disable(key=key, until=_time_message(until_s)))
        case Enable():
            return banks_pb2.Change(enable=key)
        case Reinstate():
            return banks_pb2.Change(reinstate=key)
        case Unquarantine():
            return banks_pb2.Change(unquarantine=key)


def audit_message(record: AuditRecord) -> banks_pb2.AuditRecord:
    """Return the message for a record of the audit log."""
    return banks_pb2.AuditRecord(
        time=Timestamp(seconds=record.time_s),
        author=banks_pb2.Author(actor=record.actor, reason=record.reason),
        bank=record.bank,
        action=record.action,
        first_sequence=record.first_sequence,
        last_sequence=record.last_sequence,
        counts=record.counts,
        entries=[banks_pb2.EntryKey(entry_id=entry_id, source=source) for entry_id, source in record.entries],
    )


def stored_message(stored: StoredEntry, *, matched: bool) -> banks_pb2.StoredEntry:
    """Return the message for what is known of an entry."""
    entry = stored.entry
    return banks_pb2.StoredEntry(
        key=banks_pb2.EntryKey(source=entry.key.source, entry_id=entry.key.entry_id),
        state=banks_pb2.EntryState.ValueType(stored.state),
        disabled_until=_time_message(stored.disabled_until_s),
        hash_types=[hash_type_number(item.hash_type.name) for item in entry.hashes],
        quarantined_hash_types=[hash_type_number(item.hash_type.name) for item in entry.quarantined],
        labels=entry.labels,
        quality=entry.quality,
        create_time=_time_message(stored.created_s),
        update_time=_time_message(stored.updated_s),
        matched=matched,
        stated_time=_time_message(stored.stated_s),
    )


def quarantined_message(stored: StoredEntry) -> banks_pb2.QuarantinedEntry:
    """Return the message for an entry with quarantined hashes."""
    entry = stored.entry
    return banks_pb2.QuarantinedEntry(
        key=banks_pb2.EntryKey(source=entry.key.source, entry_id=entry.key.entry_id),
        labels=entry.labels,
        hash_types=[hash_type_number(item.hash_type.name) for item in entry.quarantined],
        reasons=[_quarantine_reason(item, entry.quality) for item in entry.quarantined],
    )


def generation_message(manifest: Manifest, current: Current | None) -> banks_pb2.Generation:
    """Return the message for a generation, given which one is current."""
    message = banks_pb2.Generation(
        number=manifest.number,
        sequence=manifest.sequence,
        entry_count=manifest.entry_count,
        size_bytes=manifest.data_size_bytes,
        segments=[
            banks_pb2.SegmentInfo(hash_type=hash_type_number(name), hash_count=count)
            for name, count in manifest.hash_counts.items()
        ],
        current=current is not None and current.number == manifest.number,
        pinned=current == Current(manifest.number, pinned=True),
    )
    message.create_time.FromDatetime(manifest.create_time)
    return message


def build_message(progress: BuildProgress) -> banks_pb2.BuildStatus:
    """Return the message for a build under way."""
    message = banks_pb2.BuildStatus(
        generation=progress.generation,
        step=progress.step,
        step_number=progress.step_number,
        step_count=progress.step_count,
    )
    message.start_time.FromMilliseconds(int(progress.start_time_s * 1000))
    return message


def plan_message(hash_type: str, explanation: Explanation) -> banks_pb2.SearchPlan:
    """Return the message for how a hash type is searched."""
    return banks_pb2.SearchPlan(
        hash_type=hash_type_number(hash_type),
        radius=explanation.radius,
        path=explanation.path,
        band_bits=[band.bits for band in explanation.bands],
        thresholds=explanation.thresholds,
        probes=round(explanation.expected_probes),
        candidates=explanation.expected_candidates,
        expected_us=explanation.expected_us,
        bytes_per_hash=explanation.bytes_per_hash,
    )


def estimate_message(generation: int, estimate: MatchEstimate) -> banks_pb2.EstimateMatchesResponse:
    """Return the message for an estimate."""
    return banks_pb2.EstimateMatchesResponse(
        generation=generation,
        hash_count=estimate.hash_count,
        effective_bits=estimate.effective_bits,
        many_alike=estimate.many_alike,
        copies_radius=estimate.copies_radius if estimate.copies_radius >= 0 else None,
        estimates=[
            banks_pb2.RadiusEstimate(
                radius=radius,
                matches=estimate.matches[radius],
                matches_low=estimate.low[radius],
                matches_high=estimate.high[radius],
                counted_share=estimate.counted[radius],
                list_matches=estimate.list_matches[radius],
                uniform_matches=estimate.uniform[radius],
            )
            for radius in range(len(estimate.matches))
        ],
    )


def worker_message(note: WorkerNote) -> banks_pb2.WorkerStatus:
    """Return the message for what a worker tells."""
    message = banks_pb2.WorkerStatus(
        process_id=note.process_id,
        generation=note.generation,
        sequence=note.sequence,
        delta_entry_count=note.delta_entry_count,
        reload_error=note.reload_error,
    )
    message.start_time.FromMilliseconds(int(note.start_time_s * 1000))
    return message


def _entry_of(entry: banks_pb2.Entry, field: str) -> Entry:
    return Entry(
        _key_of(entry.key),
        _hashes_of(entry.hashes, f"{field}.hashes"),
        tuple(entry.labels),
        entry.quality if entry.HasField("quality") else None,
        _hashes_of(entry.quarantined, f"{field}.quarantined"),
    )


def _hashes_of(hashes: Iterable[banks_pb2.Hash], field: str) -> tuple[Hash, ...]:
    return tuple(
        Hash(hash_type_of(item.hash_type, f"{field}[{i}].hash_type"), item.value) for i, item in enumerate(hashes)
    )


def _hash_messages(hashes: Iterable[Hash]) -> list[banks_pb2.Hash]:
    return [banks_pb2.Hash(hash_type=hash_type_number(hash_type.name), value=value) for hash_type, value in hashes]


def _quarantine_reason(item: Hash, quality: int | None) -> str:
    if len(degenerate_rows(codes_from_bytes(item.value, item.hash_type), item.hash_type)):
        return degenerate_reason(item.hash_type)
    return "low quality" if quality is None else f"quality {quality}"


def _time_message(time_s: int) -> Timestamp | None:
    """Return the message for a time, of which 0 is none."""
    return Timestamp(seconds=time_s) if time_s else None


def _key_of(key: banks_pb2.EntryKey) -> EntryKey:
    return EntryKey(key.entry_id, key.source)
