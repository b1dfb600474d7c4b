"""How to read a list."""

from __future__ import annotations

from dataclasses import dataclass

from nearhash_index.entries import check_name
from nearhash_index.errors import InvalidInput
from nearhash_index.hash_types import HashType

__all__ = ["LIST_FORMATS", "ListOptions"]

LIST_FORMATS = ("csv", "tsv", "hex", "jsonl", "threatexchange", "ncmec", "stopncii")


@dataclass(frozen=True, slots=True)
class ListOptions:
    """How to read a list.

    Attributes
    ----------
    list_format : str, optional
        One of LIST_FORMATS; without it, the list's first bytes tell.
    hash_type : HashType, optional
        Of hashes whose row does not tell.
    source : str, optional
        Of entries whose row does not tell; without it, `ncmec` and `stopncii` for these lists, else `local`.
    members : frozenset of str
        NCMEC only: ids or names of the members whose records to import; empty: all.
    min_quality : int
        Hashes whose list states a lower quality (0 to 100) are quarantined.
    """

    list_format: str | None = None
    hash_type: HashType | None = None
    source: str | None = None
    members: frozenset[str] = frozenset()
    min_quality: int = 50

    def __post_init__(self) -> None:
        if self.list_format is not None and self.list_format not in LIST_FORMATS:
            raise InvalidInput("list_format", f"{self.list_format!r}; use one of {', '.join(LIST_FORMATS)}")
        if self.source is not None:
            check_name(self.source, "source")
        if not 0 <= self.min_quality <= 100:
            raise InvalidInput("min_quality", f"{self.min_quality}; use 0 to 100")
