"""What every list format turns its lines into."""

from __future__ import annotations

from dataclasses import dataclass

from nearhash_index.codes import hex_to_hash
from nearhash_index.entries import Entry, EntryKey, Hash, check_entry
from nearhash_index.errors import InvalidInput
from nearhash_index.hash_types import HashType

__all__ = ["DEFAULT_SOURCE", "Row", "parse_row"]

DEFAULT_SOURCE = "local"


@dataclass(frozen=True, slots=True)
class Row:
    """An entry with one hash, as one line of a list gives it.

    Attributes
    ----------
    line : int
        From 1.
    named : bool
        Whether the line names its entry; else the hash itself is the entry id.
    """

    line: int
    entry: Entry
    named: bool


def parse_row(
    line: int,
    digits: str,
    hash_type: HashType,
    *,
    entry_id: str = "",
    source: str = "",
    labels: tuple[str, ...] = (),
) -> Row:
    """Return the row of one line; raise InvalidInput that names the line and the column if it is malformed."""
    try:
        item = Hash(hash_type, hex_to_hash(digits, hash_type))
        key = EntryKey(entry_id or item.value.hex(), source or DEFAULT_SOURCE)
        return Row(line, check_entry(Entry(key, (item,), labels), ""), named=bool(entry_id))
    except InvalidInput as error:
        column = error.field.rpartition(".")[2]
        raise InvalidInput(f"line {line}, {column}", error.problem) from None
