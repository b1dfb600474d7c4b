"""A data directory that lists are imported into, as the command does, and what lookups in it answer."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from nearhash_index.codes import codes_from_bytes
from nearhash_index.entries import EntryKey
from nearhash_index.formats import ListOptions, read_list
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.importing import Absent, ImportReport, find_absent, import_items
from nearhash_index.lookup import lookup
from nearhash_index.store import DataDirectory, Generation, Registry, publish
from nearhash_index.store.changes import Change, ChangeCounts
from nearhash_index.store.delta import DeltaFollower
from nearhash_index.store.records import StoredEntry
from nearhash_index.view import View

from .samples import AUTHOR

BANK = "bank"

Hex: TypeAlias = tuple[str, str]
"""The name of a hash's type, and its value."""
Content: TypeAlias = dict[tuple[str, str], list[Hex]]
"""The hashes of each entry id and source."""
Answers: TypeAlias = dict[Hex, list[tuple[str, str]]]
"""The entry id and source of each entry that has exactly this hash; hashes that no entry has are left out."""


def answers_of(content: Content) -> Answers:
    """Return what lookups of every hash must answer: the model that views are compared with."""
    answers: Answers = {}
    for name, hashes in sorted(content.items()):
        for item in hashes:
            answers.setdefault(item, []).append(name)
    return answers


def look_up(view: View, asked: Iterable[Hex]) -> Answers:
    answers: Answers = {}
    for name, value in asked:
        hash_type = HASH_TYPES[name]
        codes = codes_from_bytes(bytes.fromhex(value), hash_type)
        found = lookup(view, hash_type, codes, radius=0, banks=[], max_matches=100)
        if len(found.entry):
            located = [view.entry(number) for number in found.entry.tolist()]
            answers[name, value] = [(entry.entry_id, entry.source) for entry in located]
    return answers


class Imported:
    """A data directory with one bank, empty and published. Each call opens the registry for itself."""

    def __init__(self, path: Path) -> None:
        self.directory = DataDirectory.create(path)
        with Registry(self.directory) as registry:
            registry.create_bank(BANK, {}, author=AUTHOR)
        self.publish()

    def publish(self) -> None:
        manifest = publish(self.directory.path)
        self.generation = Generation.open(self.directory.generation_path(manifest.number))

    def view(self) -> View:
        """Return the generation published last, with the delta to now."""
        with Registry(self.directory) as registry, registry.snapshot() as snapshot:
            delta = DeltaFollower(self.generation, pinned=False).read(snapshot, time.time())
        assert delta is not None
        return View(self.generation, delta)

    def load(self, path: Path, *, dry_run: bool = False, **options: object) -> ImportReport:
        with Registry(self.directory) as registry:

            def apply(changes: list[Change]) -> ChangeCounts:
                return registry.apply_checked(BANK, changes, AUTHOR, dry_run=dry_run)

            return import_items(read_list(path, ListOptions(**options)), apply, lambda _: None)  # type: ignore[arg-type]

    def absent(self, source: str, report: ImportReport) -> Absent:
        with Registry(self.directory) as registry, registry.snapshot() as snapshot:
            return find_absent(snapshot, BANK, source, report)

    def apply(self, *changes: Change) -> ChangeCounts:
        with Registry(self.directory) as registry:
            return registry.apply(BANK, changes, AUTHOR)

    def stored(self) -> dict[EntryKey, StoredEntry]:
        """Return every entry, but for its times: two imports may fall into one second or not."""
        with Registry(self.directory) as registry, registry.snapshot() as snapshot:
            return {stored.entry.key: stored._replace(created_s=0, updated_s=0) for stored in snapshot.entries(BANK)}

    def sequence(self) -> int:
        with Registry(self.directory) as registry:
            return registry.sequence()

    def entry_count(self) -> int:
        with Registry(self.directory) as registry:
            (bank,) = registry.banks()
        return bank.entry_count


def told(report: ImportReport) -> dict[str, int]:
    """Return the counts that are not zero."""
    return {name: count for name, count in report.counts.items() if count}
