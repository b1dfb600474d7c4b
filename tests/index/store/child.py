"""What tests run in processes of their own: `python child.py COMMAND DATA ...`."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nearhash_index.entries import Entry, EntryKey, Hash
from nearhash_index.errors import NearHashIndexError, StorageFailed
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import DataDirectory, Generation, Registry, publish
from nearhash_index.store.changes import Author, Upsert

BANK = "bank"
AUTHOR = Author("a child")
MD5 = HASH_TYPES["md5"]


def batch(name: str, number: int, size: int) -> list[Entry]:
    """Return the entries that writer `name` adds in its batch `number`; each has a hash that its id tells."""
    return [
        Entry(EntryKey(f"{name}-{number:06}-{i:04}", "local"), (Hash(MD5, number.to_bytes(8) + i.to_bytes(8)),))
        for i in range(size)
    ]


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def apply(data: Path, name: str, first: int, batches: int, size: int) -> None:
    """Apply batches, and say after each its number and the sequence that the registry acknowledged."""
    with Registry(DataDirectory(data)) as registry:
        for number in range(first, first + batches):
            say(number, registry.apply(BANK, list(map(Upsert, batch(name, number, size))), AUTHOR).sequence)


def version(number: int, size: int) -> list[Entry]:
    """Return version `number` of always the same entries; each has a hash that tells the number."""
    return [Entry(EntryKey(f"{i:04}", "local"), (Hash(MD5, number.to_bytes(8) + i.to_bytes(8)),)) for i in range(size)]


def work(data: Path, first: int, size: int) -> None:
    """Apply version after version and publish each, until killed."""
    number = first
    while True:
        with Registry(DataDirectory(data)) as registry:
            registry.apply(BANK, list(map(Upsert, version(number, size))), AUTHOR)
        say("applied", number)
        say("published", number, publish(data).number)
        number += 1


def fork_workers(data: Path, size: int) -> None:
    """For each number that comes, fork a worker that starts with that version; tell its process id and its end."""
    for line in sys.stdin:
        worker = os.fork()
        if not worker:
            work(data, int(line), size)
        say("started", worker)
        _, status = os.waitpid(worker, 0)
        say("ended", -os.waitstatus_to_exitcode(status))


def hold_publish_lock(data: Path) -> None:
    with DataDirectory(data).publish_lock():
        say("held")
        sys.stdin.read()


def create(data: Path) -> None:
    """Create the data directory at the moment the parent says."""
    say("ready")
    sys.stdin.readline()
    say(DataDirectory.create(data).path.name)


def limit_files(size_bytes: int) -> None:
    """Make every write beyond this size of a file fail, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))


def apply_on_full_disk(data: Path, size_bytes: int, size: int) -> None:
    """Apply a batch that does not fit, then the same when it does, with one registry."""
    with Registry(DataDirectory(data)) as registry:
        before = registry.sequence()
        changes = list(map(Upsert, batch("full", 1, size)))
        limit_files(size_bytes)
        try:
            registry.apply(BANK, changes, AUTHOR)
        except StorageFailed as error:
            say("refused", error)
        say("unmoved", registry.sequence() == before)
        limit_files(resource.RLIM_INFINITY)
        say("added", registry.apply(BANK, changes, AUTHOR).added)


def publish_on_full_disk(data: Path, size_bytes: int) -> None:
    limit_files(size_bytes)
    try:
        say("published", publish(data).number)
    except StorageFailed as error:
        say("refused", error)


def open_damaged(folder: Path, seed: int, rounds: int) -> None:
    """Damage a generation's files one at a time, open it, and repair it; say what each was refused with."""
    rng = np.random.default_rng(seed)
    files = {path: path.read_bytes() for path in (folder / "MANIFEST.json", folder / "data.mdb")}
    for _ in range(rounds):
        path = list(files)[rng.integers(2)]
        damaged = bytearray(files[path])
        at = int(rng.integers(len(damaged)))
        if rng.random() < 0.25:
            del damaged[at:]
        else:
            damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        say(path.name, at, len(damaged), outcome_of_opening(folder))
        path.write_bytes(files[path])
    say("repaired", outcome_of_opening(folder))


def outcome_of_opening(folder: Path) -> str:
    try:
        return f"opened {Generation.open(folder).manifest.number}"
    except NearHashIndexError as error:
        return type(error).__name__


COMMANDS: dict[str, Callable[..., None]] = {
    "apply": lambda data, name, first, batches, size: apply(data, name, int(first), int(batches), int(size)),
    "fork_workers": lambda data, size: fork_workers(data, int(size)),
    "hold_publish_lock": hold_publish_lock,
    "create": create,
    "apply_on_full_disk": lambda data, limit, size: apply_on_full_disk(data, int(limit), int(size)),
    "publish_on_full_disk": lambda data, limit: publish_on_full_disk(data, int(limit)),
    "open_damaged": lambda folder, seed, rounds: open_damaged(folder, int(seed), int(rounds)),
}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
