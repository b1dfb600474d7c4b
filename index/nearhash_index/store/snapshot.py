"""The registry as it was at one sequence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nearhash_index.entries import Bank
from nearhash_index.errors import UnknownName
from nearhash_index.store.records import (
    ChangeKind,
    StoredEntry,
    decode_entry,
    entry_id_prefix,
    pack_number,
    pack_sequence,
)

__all__ = ["RegistrySnapshot"]


class RegistrySnapshot:
    """Reads banks, entries and changes at one sequence. Valid within `Registry.snapshot`."""

    def __init__(
        self, txn: Any, entries: Any, changes: Any, timed: Any, sequence: int, banks: list[tuple[int, Bank]]
    ) -> None:
        self._txn = txn
        self._entries = entries
        self._changes = changes
        self._timed = timed
        self.sequence = sequence
        self._numbers = {bank.name: number for number, bank in banks}
        self.banks = [bank for _, bank in banks]
        """By name."""
        self.bank_names = {number: bank.name for number, bank in banks}
        """From a bank's number in keys to its name."""

    def raw_entries(self, bank_name: str) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys and values of a bank's entries, by (entry id, source)."""
        return self._beginning(pack_number(self._numbers[bank_name]))

    def _beginning(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        with self._txn.cursor(db=self._entries) as cursor:
            if not cursor.set_range(prefix):
                return
            for key, value in cursor:
                if not key.startswith(prefix):
                    return
                yield key, value

    def entries(self, bank_name: str) -> Iterator[StoredEntry]:
        """Yield a bank's entries, withdrawn ones too, by (entry id, source)."""
        for key, value in self.raw_entries(bank_name):
            yield decode_entry(key, value)

    def quarantined(self, bank_name: str) -> Iterator[StoredEntry]:
        """Yield a bank's entries that have quarantined hashes, in O(entries); raise UnknownName if there is no bank."""
        self._check_bank(bank_name)
        return (stored for stored in self.entries(bank_name) if stored.entry.quarantined)

    def entries_named(self, bank_name: str, entry_id: str) -> list[StoredEntry]:
        """Return the entries of an id, by source; at least one.

        Raises
        ------
        UnknownName
            If there is no such bank, or no entry of that id in it.
        """
        self._check_bank(bank_name)
        prefix = entry_id_prefix(self._numbers[bank_name], entry_id)
        found = [decode_entry(key, value) for key, value in self._beginning(prefix)]
        if not found:
            raise UnknownName(f"there is no entry {entry_id!r} in bank {bank_name!r}")
        return found

    def _check_bank(self, name: str) -> None:
        if name not in self._numbers:
            raise UnknownName(f"there is no bank {name!r}")

    def entry(self, key: bytes) -> StoredEntry | None:
        """Return the entry of a key, or None."""
        value = self._txn.get(key, db=self._entries)
        return None if value is None else decode_entry(key, value)

    def changed_after(self, sequence: int) -> Iterator[tuple[int, bytes]]:
        """Yield sequence and entry key of each change of an entry after `sequence`."""
        with self._txn.cursor(db=self._changes) as cursor:
            if not cursor.set_range(pack_sequence(sequence + 1)):
                return
            for packed, record in cursor:
                if record[0] == ChangeKind.ENTRY:
                    yield int.from_bytes(packed, "big"), record[1:]

    def timed(self) -> Iterator[bytes]:
        """Yield the keys of the entries that are disabled until a time."""
        with self._txn.cursor(db=self._timed) as cursor:
            yield from cursor.iternext(keys=True, values=False)
