"""nearhash hash, and what hashes files for lookups."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearhash_client.errors import NearHashError
from nearhash_service.cli.folders import OutputFile, Processes, TimeoutS, files_below, work_through
from nearhash_service.cli.printing import output, print_error, table

if TYPE_CHECKING:
    from nearhash_client.hashing import ComputedHash

__all__ = ["PHOTO_TYPES", "app", "compute"]

app = typer.Typer()

PHOTO_TYPES = ("phash64", "pdq256")
"""What a photograph is hashed to unless told otherwise."""


@app.command("hash")
def hash_files(
    files: Annotated[list[Path], typer.Argument(help="Image files, or folders of them; for digests, any files.")],
    hash_type: Annotated[
        list[str] | None, typer.Option(help="Type of hash; repeat for more. Without it: phash64 and pdq256.")
    ] = None,
    frames: Annotated[
        str, typer.Option(help="Of animations: first, all, every:N, or spread:N from the first to the last.")
    ] = "first",
    forms: Annotated[
        bool, typer.Option("--forms", help="Also as the picture would be turned and mirrored: eight hashes of a type.")
    ] = False,
    letterbox: Annotated[str, typer.Option(help="Bars around a picture: keep, remove, or both ways.")] = "keep",
    output_file: OutputFile = None,
    processes: Processes = None,
    timeout_s: TimeoutS = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per hash.")] = False,
) -> None:
    """Hash image files. A file that cannot be hashed is reported; the others are hashed all the same.

    Example: nearhash hash uploads --output hashes.jsonl --hash-type pdq256
    """
    from nearhash_client.hashing import FORMS, HashingPool  # noqa: PLC0415 - as in compute

    options: dict[str, Any] = {
        "hash_types": tuple(hash_type or PHOTO_TYPES),
        "frames": frames,
        "letterbox": letterbox,
        "forms": FORMS if forms else FORMS[:1],
    }
    if output_file is not None:
        with HashingPool(processes, timeout_s=timeout_s) as pool:
            work_through(files, lambda paths: pool.map(partial(_record, options=options), paths), output_file)
        return
    rows = table("file", "hash_type", "hash", "quality", "of", right=("quality",), whole=("hash",))
    failed = False
    for file in files_below(files):
        try:
            computed = compute(file, **options)
        except (NearHashError, OSError) as error:
            print_error(error)
            failed = True
            continue
        for item in computed:
            if as_json:
                typer.echo(json.dumps({"file": str(file), **_told(item)}))
            else:
                quality = "" if item.quality is None else str(item.quality)
                rows.add_row(str(file), item.hash_type, item.hex, quality, _part(item))
    if rows.row_count:
        output.print(rows)
    if failed:
        raise typer.Exit(1)


def _record(file: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Return what is written of a file. Runs in a process of a pool."""
    return {"hashes": [_told(item) for item in compute(file, **options)]}


def _told(item: ComputedHash) -> dict[str, Any]:
    told: dict[str, Any] = {"hash_type": item.hash_type, "hash": item.hex, "quality": item.quality}
    if item.frame is not None:
        told |= {"form": item.form, "hasher": item.hasher, "frame": asdict(item.frame)}
    return told


def _part(item: ComputedHash) -> str:
    """Say what of the file was hashed, unless it is all of it, as it is stored."""
    if item.frame is None:
        return ""
    told = [item.form] if item.form != "original" else []
    told += [f"frame {item.frame.number}"] if item.frame.number else []
    told += [f"turned upright from EXIF orientation {item.frame.orientation}"] if item.frame.orientation != 1 else []
    told += ["within bars: " + ",".join(map(str, item.frame.cropped))] if item.frame.cropped else []
    return "; ".join(told)


def compute(file: Path, hash_types: tuple[str, ...], **options: Any) -> tuple[ComputedHash, ...]:
    """Hash one file."""
    # Pillow, ImageHash and pdqhash are an extra that only these commands need.
    from nearhash_client import hashing  # noqa: PLC0415

    return hashing.compute(file, hash_types, **options)
