"""The registry: banks, entries and the log of changes, in LMDB. The record of truth.

Every change is one transaction, durable when the call returns, and gets the next sequence number. Readers and one
writer may be different processes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import lmdb

from nearhash_index.entries import Bank, EntryState, check_labels, check_name, radii_with_defaults
from nearhash_index.errors import AlreadyExists, RegistryLost, UnknownName
from nearhash_index.store.audit import AuditRecord
from nearhash_index.store.changes import Author, Change, ChangeCounts, check_author, check_changes
from nearhash_index.store.data_directory import DataDirectory
from nearhash_index.store.files import make_folder
from nearhash_index.store.outcomes import decide_all
from nearhash_index.store.records import (
    ChangeKind,
    decode_bank,
    decode_entry,
    encode_bank,
    encode_key,
    pack_number,
    pack_sequence,
)
from nearhash_index.store.snapshot import RegistrySnapshot

__all__ = ["Registry"]

_DATABASES = (b"banks", b"entries", b"changes", b"timed", b"audit")
_MAX_SIZE_BYTES = 1 << 40
"""Address space reserved for the map; the file grows only as needed."""
_MAX_READERS = 4096
"""Snapshots at one time, of all processes: more than 256 workers have threads."""
_FORGOTTEN_AT_ONCE = 50_000
_LOST = "the disk failed in the last step of an earlier change, and only a new process can open the registry again"


class Registry:
    """Opens the registry of a data directory, making an empty one at first. Safe to use from several threads.

    Open it once per process.
    """

    def __init__(self, directory: DataDirectory) -> None:
        self._directory = directory
        try:
            make_folder(directory.registry_path, lambda folder: _opened(folder)[0].close())
            self._env, databases = _opened(directory.registry_path)
        except (lmdb.Error, OSError) as error:
            raise directory.failure(f"the registry {directory.registry_path} cannot be opened", error) from None
        self._banks, self._entries, self._changes, self._timed, self._audit = databases

    def close(self) -> None:
        """Let go of the files."""
        self._env.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def create_bank(
        self, name: str, radii: dict[str, int], labels: Sequence[str] = (), *, allowlist: bool = False, author: Author
    ) -> Bank:
        """Create an empty, enabled bank. Types without a radius get their default.

        Raises
        ------
        InvalidInput, AlreadyExists, StorageFailed
        """
        bank = Bank(
            check_name(name, "name"), radii_with_defaults(radii), labels=check_labels(labels), allowlist=allowlist
        )
        check_author(author)
        with self._writing() as txn:
            if txn.get(name.encode(), db=self._banks) is not None:
                raise AlreadyExists(f"there is a bank {name!r} already")
            number = 1 + max((number for number, _ in self._numbered_banks(txn)), default=0)
            self._put_bank(txn, number, bank, "create bank", author)
        return bank

    def update_bank(
        self,
        name: str,
        radii: dict[str, int],
        enabled: bool | None = None,
        *,
        labels: Sequence[str] | None = None,
        allowlist: bool | None = None,
        author: Author,
    ) -> Bank:
        """Change a bank: the radii named, and whatever else is not None.

        Raises
        ------
        InvalidInput, UnknownName, StorageFailed
        """
        check_author(author)
        new_labels = None if labels is None else check_labels(labels)
        with self._writing() as txn:
            number, bank = self._bank(txn, name)
            changed = bank._replace(
                radii=radii_with_defaults(radii, bank.radii),
                enabled=bank.enabled if enabled is None else enabled,
                labels=bank.labels if new_labels is None else new_labels,
                allowlist=bank.allowlist if allowlist is None else allowlist,
            )
            if changed != bank:
                self._put_bank(txn, number, changed, "update bank", author)
        return changed

    def banks(self) -> list[Bank]:
        """Return all banks, by name."""
        with self._reading() as txn:
            return [bank for _, bank in self._numbered_banks(txn)]

    def sequence(self) -> int:
        """Return the sequence of the last change; 0 before the first."""
        with self._reading() as txn:
            return self._last_sequence(txn)

    def apply(
        self, bank_name: str, changes: Sequence[Change], author: Author, *, dry_run: bool = False
    ) -> ChangeCounts:
        """Change entries of one bank, in order; all of them or, if it raises, none.

        Applying the same changes again changes nothing. O(changes * log entries).

        Parameters
        ----------
        dry_run : bool
            Only count what would be done.

        Raises
        ------
        InvalidInput
            Naming the change by its position, for the first one that is malformed or whose hash is degenerate.
        UnknownName, StorageFailed
        """
        return self.apply_checked(bank_name, check_changes(list(changes)), author, dry_run=dry_run)

    def apply_checked(
        self, bank_name: str, checked: Sequence[Change], author: Author, *, dry_run: bool = False
    ) -> ChangeCounts:
        """Do what `apply` does with changes that a reader of lists has checked already, twice as fast.

        Raises
        ------
        UnknownName, StorageFailed
        """
        check_author(author)
        now_s = int(time.time())
        with self._writing(dry_run=dry_run) as txn:
            number, bank = self._bank(txn, bank_name)
            first = self._last_sequence(txn) + 1
            keys = [encode_key(number, change.key) for change in checked]
            with txn.cursor(db=self._entries) as cursor:
                known: dict[bytes, bytes] = dict(cursor.getmulti(sorted(dict.fromkeys(keys))))
            decided = decide_all(checked, keys, known, now_s)
            changed = decided.changed
            counts = ChangeCounts.of(first + len(decided.logged) - 1, decided.numbers, decided.older)
            if changed:
                self._put_entries(txn, known, changed)
            if decided.logged:
                self._append_log(txn, first, [b"%c%b" % (ChangeKind.ENTRY, key) for key in decided.logged])
                before = (known.get(key) for key in changed)
                grown = _count_matchable(changed.values()) - _count_matchable(before)
                resized = bank._replace(entry_count=bank.entry_count + grown)
                txn.put(bank_name.encode(), encode_bank(number, resized), db=self._banks)
                self._append_audit(txn, AuditRecord.of_changes(bank_name, author, checked, counts, first))
        return counts

    @contextmanager
    def snapshot(self) -> Iterator[RegistrySnapshot]:
        """Yield the registry as it is now, unmoved by later changes. Hold it shortly: it keeps freed pages in use."""
        with self._reading() as txn:
            banks = list(self._numbered_banks(txn))
            yield RegistrySnapshot(txn, self._entries, self._changes, self._timed, self._last_sequence(txn), banks)

    def note_publishing(self, action: str, author: Author) -> None:
        """Append to the audit log that somebody has changed what is served.

        Raises
        ------
        InvalidInput, StorageFailed
        """
        check_author(author)
        with self._writing() as txn:
            self._append_audit(txn, AuditRecord.of_publishing(action, author, self._last_sequence(txn)))

    def audit(self, limit: int) -> list[AuditRecord]:
        """Return the latest records of the audit log, newest first."""
        with self._reading() as txn, txn.cursor(db=self._audit) as cursor:
            records = []
            for _, value in cursor.iterprev() if cursor.last() else ():
                records.append(AuditRecord(**json.loads(value)))
                if len(records) == limit:
                    break
            return records

    def forget_changes(self, up_to: int) -> None:
        """Shorten the change log: drop what came up to that sequence, inclusive. The last change always stays.

        In transactions of bounded size, since another writer, who may be withdrawing, waits for one to end.
        """
        while True:
            with self._writing() as txn, txn.cursor(db=self._changes) as cursor:
                end = pack_sequence(min(up_to + 1, self._last_sequence(txn)))
                for _ in range(_FORGOTTEN_AT_ONCE):
                    if not cursor.first() or cursor.key() >= end:
                        return
                    cursor.delete()

    def _put_entries(self, txn: Any, known: dict[bytes, bytes], changed: dict[bytes, bytes | None]) -> None:
        """Write new values and delete entries; keep the list of those that come back by time."""
        with txn.cursor(db=self._entries) as cursor:
            cursor.putmulti(sorted((key, value) for key, value in changed.items() if value is not None))
        for key, value in changed.items():
            if value is None:
                txn.delete(key, db=self._entries)
            if value is not None and value[0] == EntryState.DISABLED and decode_entry(key, value).disabled_until_s:
                txn.put(key, b"", db=self._timed)
            elif key in known and known[key][0] == EntryState.DISABLED:
                txn.delete(key, db=self._timed)

    def _put_bank(self, txn: Any, number: int, bank: Bank, action: str, author: Author) -> None:
        txn.put(bank.name.encode(), encode_bank(number, bank), db=self._banks)
        sequence = self._last_sequence(txn) + 1
        self._append_log(txn, sequence, [b"%c%b" % (ChangeKind.BANK, pack_number(number))])
        self._append_audit(txn, AuditRecord.of_bank(bank, action, author, sequence))

    def _append_log(self, txn: Any, first: int, log: list[bytes]) -> None:
        with txn.cursor(db=self._changes) as cursor:
            cursor.putmulti(zip(map(pack_sequence, count(first)), log, strict=False), append=True)

    def _append_audit(self, txn: Any, record: AuditRecord) -> None:
        with txn.cursor(db=self._audit) as cursor:
            number = int.from_bytes(cursor.key(), "big") + 1 if cursor.last() else 1
        txn.put(pack_sequence(number), json.dumps(record._asdict()).encode(), db=self._audit, append=True)

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
    def _reading(self) -> Iterator[Any]:
        """Yield a transaction that reads."""
        try:
            with self._env.begin() as txn:
                yield txn
        except lmdb.PanicError:
            raise RegistryLost(_LOST) from None

    @contextmanager
    def _writing(self, *, dry_run: bool = False) -> Iterator[Any]:
        """Yield a transaction that is committed at the end, unless something raises or nothing shall be done."""
        try:
            txn = self._env.begin(write=True)
            try:
                yield txn
            except BaseException:
                txn.abort()
                raise
            if dry_run:
                txn.abort()
            else:
                txn.commit()
        except lmdb.PanicError:
            raise RegistryLost(_LOST) from None
        except (lmdb.Error, OSError) as error:
            raise self._directory.failure("the registry could not be written, nothing was changed", error) from None


def _opened(folder: Path) -> tuple[Any, list[Any]]:
    """Return the environment in a folder and its databases, made if they are missing."""
    env: Any = lmdb.open(
        str(folder),
        map_size=_MAX_SIZE_BYTES,
        max_dbs=len(_DATABASES),
        max_readers=_MAX_READERS,
        mode=0o600,
        readahead=False,
    )
    try:
        # Readers that were killed would keep freed pages in use.
        env.reader_check()
        return env, [env.open_db(name) for name in _DATABASES]
    except BaseException:
        env.close()
        raise


def _count_matchable(values: Iterable[bytes | None]) -> int:
    """Count the entries that are not withdrawn."""
    return sum(value is not None and value[0] != EntryState.WITHDRAWN for value in values)
