"""Reading hash lists: `read_list` yields what a list in any known format says to import."""

from nearhash_index.formats.items import Item, Quarantined, Rejected, Removal, Skipped, Upsert
from nearhash_index.formats.options import LIST_FORMATS, ListOptions
from nearhash_index.formats.reading import read_list

__all__ = [
    "LIST_FORMATS",
    "Item",
    "ListOptions",
    "Quarantined",
    "Rejected",
    "Removal",
    "Skipped",
    "Upsert",
    "read_list",
]
