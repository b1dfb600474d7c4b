"""The registry: banks, entries and the log of changes, in LMDB. The record of truth.

Every change is one transaction, durable when the call returns, and gets the next sequence number. Readers and one
writer may be different processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, NamedTuple, Self

import lmdb

from nearhash_index.entries import (
    Bank,
    Entry,
    EntryKey,
    check_degenerate,
    check_entry,
    check_key,
    check_labels,
    check_name,
    radii_with_defaults,
)
from nearhash_index.errors import AlreadyExists, StorageFailed, UnknownName
from nearhash_index.store.data_directory import DataDirectory
from nearhash_index.store.records import (
    ChangeKind,
    decode_bank,
    decode_entry,
    encode_bank,
    encode_entry_value,
    encode_key,
    pack_number,
    pack_sequence,
)

__all__ = ["ChangeCounts", "Registry", "RegistrySnapshot", "Remove"]

_MAX_SIZE_BYTES = 1 << 40
"""Address space reserved for the map; the file grows only as needed."""


@dataclass(frozen=True, slots=True)
class Remove:
    """A change that removes an entry."""

    key: EntryKey


class ChangeCounts(NamedTuple):
    """What applying changes did. Counts are of entries."""

    sequence: int
    added: int = 0
    updated: int = 0
    removed: int = 0
    unchanged: int = 0


class Registry:
    """Opens the registry of a data directory, making an empty one at first. Safe to use from several threads.

    Open it once per process.
    """

    def __init__(self, directory: DataDirectory) -> None:
        try:
            self._env: Any = lmdb.open(
                str(directory.registry_path), map_size=_MAX_SIZE_BYTES, max_dbs=3, mode=0o600, readahead=False
            )
            self._env.reader_check()
            self._banks, self._entries, self._changes = (
                self._env.open_db(name) for name in (b"banks", b"entries", b"changes")
            )
        except (lmdb.Error, OSError) as error:
            raise StorageFailed(f"the registry {directory.registry_path} cannot be opened: {error}") from None

    def close(self) -> None:
        """Let go of the files."""
        self._env.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def create_bank(self, name: str, radii: dict[str, int], labels: Sequence[str] = ()) -> Bank:
        """Create an empty, enabled bank. Types without a radius get their default.

        Raises
        ------
        InvalidInput, AlreadyExists, StorageFailed
        """
        bank = Bank(check_name(name, "name"), radii_with_defaults(radii), labels=check_labels(labels))
        with self._writing() as txn:
            if txn.get(name.encode(), db=self._banks) is not None:
                raise AlreadyExists(f"there is a bank {name!r} already")
            number = 1 + max((number for number, _ in self._numbered_banks(txn)), default=0)
            self._put_bank(txn, number, bank)
        return bank

    def update_bank(self, name: str, radii: dict[str, int], enabled: bool | None = None) -> Bank:
        """Change a bank: the radii named, and whether it is enabled unless that is None.

        Raises
        ------
        InvalidInput, UnknownName, StorageFailed
        """
        with self._writing() as txn:
            number, bank = self._bank(txn, name)
            changed = replace(
                bank,
                radii=radii_with_defaults(radii, bank.radii),
                enabled=bank.enabled if enabled is None else enabled,
            )
            if changed != bank:
                self._put_bank(txn, number, changed)
        return changed

    def banks(self) -> list[Bank]:
        """Return all banks, by name."""
        with self._env.begin() as txn:
            return [bank for _, bank in self._numbered_banks(txn)]

    def sequence(self) -> int:
        """Return the sequence of the last change; 0 before the first."""
        with self._env.begin() as txn:
            return self._last_sequence(txn)

    def apply(self, bank_name: str, changes: Sequence[Entry | Remove]) -> ChangeCounts:
        """Upsert and remove entries of one bank, in order; all of them or, if it raises, none.

        Applying the same changes again changes nothing. O(changes * log entries).

        Raises
        ------
        InvalidInput
            Naming the change by its position, for the first one that is malformed or whose hash is degenerate.
        UnknownName, StorageFailed
        """
        checked = [_check_change(change, f"changes[{i}]") for i, change in enumerate(changes)]
        check_degenerate(
            (f"changes[{i}].upsert.hashes[{k}].value", item)
            for i, change in enumerate(checked)
            if isinstance(change, Entry)
            for k, item in enumerate(change.hashes)
        )
        with self._writing() as txn:
            number, bank = self._bank(txn, bank_name)
            before = self._last_sequence(txn)
            counts = {"added": 0, "updated": 0, "removed": 0, "unchanged": 0}
            for change in checked:
                counts[self._apply_one(txn, number, change)] += 1
            grown = counts["added"] - counts["removed"]
            if grown:
                resized = replace(bank, entry_count=bank.entry_count + grown)
                txn.put(bank_name.encode(), encode_bank(number, resized), db=self._banks)
            changed = len(checked) - counts["unchanged"]
        return ChangeCounts(before + changed, **counts)

    @contextmanager
    def snapshot(self) -> Iterator[RegistrySnapshot]:
        """Yield the registry as it is now, unmoved by later changes. Hold it shortly: it keeps freed pages in use."""
        with self._env.begin() as txn:
            banks = list(self._numbered_banks(txn))
            yield RegistrySnapshot(txn, self._entries, self._last_sequence(txn), banks)

    def forget_changes(self, up_to: int) -> None:
        """Shorten the change log: drop what came up to that sequence, inclusive. The last change always stays."""
        with self._writing() as txn, txn.cursor(db=self._changes) as cursor:
            end = pack_sequence(min(up_to + 1, self._last_sequence(txn)))
            while cursor.first() and cursor.key() < end:
                cursor.delete()

    def _apply_one(self, txn: Any, bank_number: int, change: Entry | Remove) -> str:
        key = encode_key(bank_number, change.key)
        if isinstance(change, Remove):
            if not txn.delete(key, db=self._entries):
                return "unchanged"
            self._log(txn, ChangeKind.REMOVE, key)
            return "removed"
        value = encode_entry_value(change)
        known = txn.get(key, db=self._entries)
        if known == value:
            return "unchanged"
        txn.put(key, value, db=self._entries)
        self._log(txn, ChangeKind.UPSERT, key)
        return "added" if known is None else "updated"

    def _put_bank(self, txn: Any, number: int, bank: Bank) -> None:
        txn.put(bank.name.encode(), encode_bank(number, bank), db=self._banks)
        self._log(txn, ChangeKind.BANK, pack_number(number))

    def _log(self, txn: Any, kind: ChangeKind, subject: bytes) -> None:
        key = pack_sequence(self._last_sequence(txn) + 1)
        txn.put(key, b"%c%b" % (kind, subject), db=self._changes, append=True)

    def _last_sequence(self, txn: Any) -> int:
        with txn.cursor(db=self._changes) as cursor:
            return int.from_bytes(cursor.key(), "big") if cursor.last() else 0

    def _bank(self, txn: Any, name: str) -> tuple[int, Bank]:
        value = txn.get(check_name(name, "bank").encode(), db=self._banks)
        if value is None:
            raise UnknownName(f"there is no bank {name!r}; create it first")
        return decode_bank(name.encode(), value)

    def _numbered_banks(self, txn: Any) -> Iterator[tuple[int, Bank]]:
        with txn.cursor(db=self._banks) as cursor:
            for name, value in cursor:
                yield decode_bank(name, value)

    @contextmanager
    def _writing(self) -> Iterator[Any]:
        try:
            with self._env.begin(write=True) as txn:
                yield txn
        except (lmdb.Error, OSError) as error:
            raise StorageFailed(f"the registry could not be written, nothing was changed: {error}") from None


class RegistrySnapshot:
    """The registry at one sequence."""

    def __init__(self, txn: Any, entries: Any, sequence: int, banks: list[tuple[int, Bank]]) -> None:
        self._txn = txn
        self._entries = entries
        self.sequence = sequence
        self._numbers = {bank.name: number for number, bank in banks}
        self.banks = [bank for _, bank in banks]
        """By name."""

    def entries(self, bank_name: str) -> Iterator[Entry]:
        """Yield a bank's entries by (entry id, source)."""
        prefix = pack_number(self._numbers[bank_name])
        with self._txn.cursor(db=self._entries) as cursor:
            if not cursor.set_range(prefix):
                return
            for key, value in cursor:
                if not key.startswith(prefix):
                    return
                yield decode_entry(key, value)


def _check_change(change: Entry | Remove, field: str) -> Entry | Remove:
    if isinstance(change, Remove):
        return Remove(check_key(change.key, f"{field}.remove"))
    return check_entry(change, f"{field}.upsert")
