"""nearhash hash, and what hashes files for lookups."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearhash_client.errors import NearHashError
from nearhash_service.cli.printing import output, print_error, table

if TYPE_CHECKING:
    from nearhash_client.hashing import ComputedHash

__all__ = ["PHOTO_TYPES", "compute", "hash_files"]

PHOTO_TYPES = ("phash64", "pdq256")
"""What a photograph is hashed to unless told otherwise."""


def hash_files(
    files: Annotated[list[Path], typer.Argument(help="Image files; for digests, any files.")],
    hash_type: Annotated[
        list[str] | None, typer.Option(help="Type of hash; repeat for more. Without it: phash64 and pdq256.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Hash image files. A file that cannot be hashed is reported; the others are hashed all the same.

    Example: nearhash hash photo.jpg --hash-type phash64 --hash-type sha256
    """
    rows = table("file", "hash_type", "hash", "quality", right=("quality",), whole=("hash",))
    failed = False
    for file in files:
        try:
            computed = compute(file, tuple(hash_type or PHOTO_TYPES))
        except (NearHashError, OSError) as error:
            print_error(error)
            failed = True
            continue
        for item in computed:
            if as_json:
                told = {"file": str(file), "hash_type": item.hash_type, "hash": item.hex, "quality": item.quality}
                typer.echo(json.dumps(told))
            else:
                rows.add_row(str(file), item.hash_type, item.hex, "" if item.quality is None else str(item.quality))
    if rows.row_count:
        output.print(rows)
    if failed:
        raise typer.Exit(1)


def compute(file: Path, hash_types: tuple[str, ...]) -> tuple[ComputedHash, ...]:
    """Hash one file."""
    # Pillow, ImageHash and pdqhash are an extra that only these commands need.
    from nearhash_client import hashing  # noqa: PLC0415

    return hashing.compute(file, hash_types)
