"""Calls of BankService, and messages for them."""

from __future__ import annotations

import numpy as np

from nearhash.v1 import banks_pb2
from nearhash_index.hash_types import HASH_TYPES

RNG = np.random.default_rng(5)


def radii(**of_type: int) -> list[banks_pb2.Radius]:
    return [banks_pb2.Radius(hash_type=HASH_TYPES[name].number, radius=radius) for name, radius in of_type.items()]


def radii_of(bank: banks_pb2.Bank) -> dict[int, int]:
    return {item.hash_type: item.radius for item in bank.radii}


def hash_message(number: int = 1, value: bytes | None = None) -> banks_pb2.Hash:
    return banks_pb2.Hash(hash_type=number, value=RNG.bytes(8) if value is None else value)


def upsert(entry_id: str, *hashes: banks_pb2.Hash, source: str = "local", labels=()) -> banks_pb2.Change:
    key = banks_pb2.EntryKey(source=source, entry_id=entry_id)
    return banks_pb2.Change(upsert=banks_pb2.Entry(key=key, hashes=hashes or [hash_message()], labels=labels))


def remove(entry_id: str, source: str = "local") -> banks_pb2.Change:
    return banks_pb2.Change(remove=banks_pb2.EntryKey(source=source, entry_id=entry_id))


def create(stubs, name: str, **fields) -> banks_pb2.Bank:
    return stubs.banks.CreateBank(banks_pb2.CreateBankRequest(name=name, **fields), timeout=20).bank


def update(stubs, name: str, **fields) -> banks_pb2.Bank:
    return stubs.banks.UpdateBank(banks_pb2.UpdateBankRequest(name=name, **fields), timeout=20).bank


def apply(stubs, bank: str, *changes: banks_pb2.Change, **fields) -> banks_pb2.ApplyChangesResponse:
    return stubs.banks.ApplyChanges(banks_pb2.ApplyChangesRequest(bank=bank, changes=changes, **fields), timeout=20)


def rollback(stubs, generation: int = 0) -> banks_pb2.Generation:
    return stubs.banks.Rollback(banks_pb2.RollbackRequest(generation=generation), timeout=20).generation


def generations(stubs) -> list[banks_pb2.Generation]:
    return list(stubs.banks.ListGenerations(banks_pb2.ListGenerationsRequest(), timeout=20).generations)


def banks(stubs) -> dict[str, banks_pb2.Bank]:
    listed = stubs.banks.ListBanks(banks_pb2.ListBanksRequest(), timeout=20).banks
    assert [bank.name for bank in listed] == sorted(bank.name for bank in listed)
    return {bank.name: bank for bank in listed}


def change(kind: str, entry_id: str, source: str = "local") -> banks_pb2.Change:
    """Return a change that names nothing but a key."""
    key = banks_pb2.EntryKey(source=source, entry_id=entry_id)
    return (
        banks_pb2.Change(disable=banks_pb2.Disable(key=key)) if kind == "disable" else banks_pb2.Change(**{kind: key})
    )


def release(stubs) -> banks_pb2.Generation:
    return stubs.banks.Release(banks_pb2.ReleaseRequest(), timeout=20).generation


def audit(stubs, limit: int = 0) -> list[banks_pb2.AuditRecord]:
    return list(stubs.banks.ListAudit(banks_pb2.ListAuditRequest(limit=limit), timeout=20).records)
