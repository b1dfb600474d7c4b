"""Reading hash lists. `check_file` first, so that an import either ends or does not begin."""

from nearhash_index.formats.reading import check_file, read_entries

__all__ = ["check_file", "read_entries"]
