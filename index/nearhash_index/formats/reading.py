"""From a list, a file or a folder of pages in any known format, to what to import."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TypeAlias

from nearhash_index.formats.csv_rows import read_csv, read_tsv
from nearhash_index.formats.detection import detected_format
from nearhash_index.formats.files import pages_of
from nearhash_index.formats.hex_rows import read_hex
from nearhash_index.formats.items import Item, Rejected
from nearhash_index.formats.json_rows import read_jsonl
from nearhash_index.formats.latest import State, latest_states
from nearhash_index.formats.ncmec import read_ncmec
from nearhash_index.formats.options import ListOptions
from nearhash_index.formats.quarantine import without_degenerate
from nearhash_index.formats.repeats import without_repeats
from nearhash_index.formats.rows import Row, items_of
from nearhash_index.formats.stopncii import read_stopncii
from nearhash_index.formats.threatexchange import read_threatexchange

__all__ = ["read_list"]

_RowReader: TypeAlias = Callable[[Path, ListOptions], Iterator[Row | Rejected]]
_RecordReader: TypeAlias = Callable[[list[Path], ListOptions], Iterator[State | Item]]

_CHUNK = 1_000
"""Items that are checked together. More of them alive at a time cost more in garbage collection than they save."""

_ROW_READERS: dict[str, _RowReader] = {
    "csv": read_csv,
    "tsv": read_tsv,
    "hex": read_hex,
    "jsonl": read_jsonl,
    "threatexchange": read_threatexchange,
}
_RECORD_READERS: dict[str, _RecordReader] = {"ncmec": read_ncmec, "stopncii": read_stopncii}


def read_list(path: Path, options: ListOptions | None = None) -> Iterator[Item]:
    """Yield what a list says to import, in bounded memory. What is malformed is yielded too, and the rest goes on.

    A clearing house's records come in their latest state, each key once. Of text lists, each named entry comes once.

    Parameters
    ----------
    path : Path
        A file, or a folder of pages of one format; plain, or compressed by gzip or Zstandard.

    Raises
    ------
    InvalidInput
        While reading too: naming a file that cannot be read to its end, or is no list, or what the options lack.
    """
    options = options or ListOptions()
    pages = pages_of(path)
    list_format = options.list_format or detected_format(pages[0])
    if list_format in _RECORD_READERS:
        chunks = _chunked(latest_states(partial(_RECORD_READERS[list_format], pages, options)))
    else:
        read_rows = _ROW_READERS[list_format]

        def read_chunks() -> Iterator[list[Item]]:
            return _chunked(items_of(chain.from_iterable(read_rows(page, options) for page in pages), options))

        chunks = without_repeats(path, read_chunks)
    return without_degenerate(chunks)


def _chunked(items: Iterator[Item]) -> Iterator[list[Item]]:
    while chunk := list(islice(items, _CHUNK)):
        yield chunk
