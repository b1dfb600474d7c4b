"""Working through folders of files: one line of JSON for each, which a later run need not do again."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import orjson
import typer

from nearhash_client.errors import (
    FailedPrecondition,
    InvalidRequest,
    NearHashError,
    NotFound,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
)
from nearhash_index.errors import InvalidInput
from nearhash_service.cli.printing import errors, print_error
from nearhash_service.cli.progress import shown_progress

__all__ = [
    "OF_EVERY_FILE",
    "Answer",
    "OutputFile",
    "Processes",
    "TimeoutS",
    "files_below",
    "in_threads",
    "work_through",
]

OutputFile = Annotated[
    Path | None,
    typer.Option("--output", help="Write one JSON object per file; what is in it is not done again."),
]
Processes = Annotated[
    int | None, typer.Option(min=1, help="With --output: hash in so many processes; without it, one per core.")
]
TimeoutS = Annotated[float, typer.Option(help="With --output: seconds for one file, or it fails.")]

Answer = dict[str, Any] | Exception
"""What is written of a file, or why there is nothing."""

OF_EVERY_FILE = FailedPrecondition, InvalidRequest, NotFound, PermissionDenied, Unauthenticated, Unavailable
"""What the server answers to one file, it would answer to all; Unavailable is after the retries."""

_Key = tuple[str, int, int]
"""Path, size in bytes, time of change in nanoseconds: what is done, unless the file changes."""


def files_below(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield files, and those below folders by name; links to folders are not followed. Hidden ones are left out."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                if not name.startswith("."):
                    yield Path(folder) / name


def work_through(
    paths: Iterable[Path],
    work: Callable[[Iterator[Path]], Iterator[Answer]],
    output: Path,
) -> None:
    """Append to `output` a line for each file that it does not have yet; end with exit status 1 if some failed.

    Killed at any point, it leaves whole lines and at most one that is cut off, which the next run removes. Memory grows
    by some bytes for each file that is done. What every file would meet ends it.

    Parameters
    ----------
    work
        Answers files in their order.
    """
    keys: deque[_Key] = deque()
    skipped = failed = written = 0
    stopped_by: NearHashError | None = None

    def waiting() -> Iterator[Path]:
        nonlocal skipped, failed
        for path in files_below(paths):
            try:
                found = path.stat()
            except OSError as error:
                print_error(error)
                failed += 1
                continue
            key = (str(path), found.st_size, found.st_mtime_ns)
            if hash(key) in done:
                skipped += 1
                continue
            keys.append(key)
            yield path

    with ExitStack() as stack:
        file = stack.enter_context(output.open("a+b"))
        done = _done(file, output)
        progress = stack.enter_context(shown_progress())
        task = progress.add_task("files", total=None)
        try:
            for answer in work(waiting()):
                name, size_bytes, mtime_ns = keys.popleft()
                progress.advance(task)
                if isinstance(answer, Exception):
                    print_error(answer)
                    failed += 1
                    continue
                record = {"file": name, "size_bytes": size_bytes, "mtime_ns": mtime_ns, **answer}
                file.write(orjson.dumps(record) + b"\n")
                file.flush()
                written += 1
        except OF_EVERY_FILE as error:
            stopped_by = error
    files = "file" if written == 1 else "files"
    ending = "; stopped, run it again to go on" if stopped_by else ""
    errors.print(
        f"{output}: {written:,} {files} added, {skipped:,} there already, {failed:,} failed{ending}", soft_wrap=True
    )
    if stopped_by:
        raise stopped_by
    if failed:
        raise typer.Exit(1)


def in_threads(answer: Callable[[Path], dict[str, Any]], paths: Iterable[Path], threads: int) -> Iterator[Answer]:
    """Yield the answers to files in their order, computed in threads that few files are taken ahead for.

    Parameters
    ----------
    answer
        Returns what is written of a file. Its errors are yielded, but for those that every file would meet.
    """

    def answered(path: Path) -> Answer:
        try:
            return answer(path)
        except OF_EVERY_FILE:
            raise
        except (NearHashError, OSError) as error:
            return error

    under_way: deque[Future[Answer]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for path in paths:
            under_way.append(pool.submit(answered, path))
            if len(under_way) == 2 * threads:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _done(file: BinaryIO, output: Path) -> set[int]:
    """Read what an output has, and cut off a line that was not written whole. Hashes of keys, to be small."""
    file.seek(0)
    done: set[int] = set()
    end = 0
    for number, line in enumerate(file, start=1):
        if not line.endswith(b"\n"):
            break
        try:
            record = orjson.loads(line)
            done.add(hash((record["file"], record["size_bytes"], record["mtime_ns"])))
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise InvalidInput("--output", f"{output}, line {number}: not of this command; name another file") from None
        end += len(line)
    file.truncate(end)
    file.seek(end)
    return done
