from __future__ import annotations

import gc
import os
import re
import shutil
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import product
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nearhash_index.codes import codes_from_bytes
from nearhash_index.entries import Entry
from nearhash_index.errors import CorruptData, NotADataDirectory, WrongVersion
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import DataDirectory, Generation, Registry, publish
from nearhash_index.store import generation as generation_module
from nearhash_index.store.sealed_json import read_sealed, seal

from ..samples import AUTHOR, MD5, PDQ256, PHASH64, entry, random_entries, random_hash, upserts
from . import children

MAGIC = "nearhash generation"
RNG = np.random.default_rng(1)
FIRST, SECOND, WIDE, DIGEST = (random_hash(RNG, t) for t in (PHASH64, PHASH64, PDQ256, MD5))
# In the order of a generation.
ENTRIES = {
    "Alpha": [entry("7", SECOND, WIDE, source="ncmec", labels=("a", "b")), entry("\N{SNOWMAN}", FIRST, SECOND)],
    "empty": [],
    "omega": [entry("7", DIGEST, source="local", labels=("caf\N{LATIN SMALL LETTER E WITH ACUTE}",)), entry("8", WIDE)],
}


def published(path: Path, banks: dict[str, list[Entry]]) -> Path:
    """Add banks with their entries, publish, and return the generation's folder."""
    directory = DataDirectory(path)
    with Registry(directory) as registry:
        for name, entries in banks.items():
            registry.create_bank(name, {}, author=AUTHOR)
            registry.apply(name, upserts(entries), AUTHOR)
    return directory.generation_path(publish(path).number)


def arrays_of(generation: Generation) -> dict[str, NDArray[Any]]:
    arrays = {name: getattr(generation.entries, name) for name in ("bank", "source", "labels", "id_end", "ids")}
    for name, segment in generation.segments.items():
        arrays[f"{name}/entry"] = segment.entry
        for part, array in segment.index.arrays().items():
            arrays[f"{name}/{part}"] = array
    return arrays


def entries_of(generation: Generation) -> dict[str, list[Entry]]:
    """Read everything back through what a lookup uses: an exact search for each hash that was put in."""
    manifest, table = generation.manifest, generation.entries
    found: dict[str, list[Entry]] = {bank.name: [] for bank in manifest.banks}
    known = {item for entries in ENTRIES.values() for each in entries for item in each.hashes}
    for row, bank in enumerate(table.bank):
        hashes: list[tuple[str, int, Any]] = []
        for item in known:
            segment = generation.segments.get(item.hash_type.name)
            if segment:
                matches = segment.index.search(codes_from_bytes(item.value, item.hash_type), 0)
                hashes += [(item.hash_type.name, int(r), item) for r in matches.row if segment.entry[r] == row]
        order = list(HASH_TYPES)
        hashes.sort(key=lambda each: (order.index(each[0]), each[1]))
        found[manifest.banks[bank].name].append(
            entry(
                table.entry_id(row),
                *(item for *_, item in hashes),
                source=manifest.sources[table.source[row]],
                labels=manifest.label_sets[table.labels[row]],
            )
        )
    return found


def mapped_ranges(file: Path) -> list[tuple[int, int]]:
    """Return where this process maps a file, whatever its name was."""
    inode = file.stat().st_ino if file.exists() else None
    ranges = []
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        addresses, _, _, _, found, *name = line.split(maxsplit=5)
        if (int(found) == inode) if inode else name and name[0] == f"{file} (deleted)":
            start, end = (int(text, 16) for text in addresses.split("-"))
            ranges.append((start, end))
    return ranges


def open_files_below(folder: Path) -> list[str]:
    """Return what this process has open of a folder; other tests' servers may still be closing theirs."""
    targets = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the listing itself
            targets.append(str(descriptor.readlink()))
    return sorted(target for target in targets if Path(target).is_relative_to(folder))


def test_what_was_published_is_what_is_opened(path: Path) -> None:
    generation = Generation.open(published(path, ENTRIES))
    assert entries_of(generation) == ENTRIES
    manifest = generation.manifest
    assert (manifest.number, manifest.sequence, manifest.entry_count) == (1, 7, 4)
    assert manifest.hash_counts == {"phash64": 3, "pdq256": 2, "md5": 1}
    assert [(bank.name, bank.entry_count) for bank in manifest.banks] == [("Alpha", 2), ("empty", 0), ("omega", 2)]
    assert {name: len(segment.index) for name, segment in generation.segments.items()} == manifest.hash_counts


def test_an_empty_registry_can_be_published(path: Path) -> None:
    generation = Generation.open(published(path, {}))
    assert (generation.manifest.number, generation.manifest.sequence, generation.manifest.entry_count) == (1, 0, 0)
    assert (generation.manifest.banks, generation.segments) == ((), {})
    assert all(array.shape == (0,) for array in arrays_of(generation).values())


def test_a_bank_without_entries_can_be_published(path: Path) -> None:
    generation = Generation.open(published(path, {"bank": []}))
    assert [(bank.name, bank.entry_count) for bank in generation.manifest.banks] == [("bank", 0)]
    assert generation.segments == {}


@pytest.mark.parametrize("count", [1, 2, 7, 2000])
def test_arrays_are_aligned_read_only_and_lie_in_the_mapped_file(path: Path, count: int) -> None:
    folder = published(path, {"bank": random_entries(count)})
    generation = Generation.open(folder)
    ranges = mapped_ranges(folder / "data.mdb")
    assert len(ranges) == 1
    for name, array in arrays_of(generation).items():
        address = array.ctypes.data
        assert address % 64 == 0, name
        assert any(start <= address and address + array.nbytes <= end for start, end in ranges), name
        assert not array.flags.writeable, name
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
        with pytest.raises(ValueError, match="cannot set WRITEABLE flag"):
            array.flags.writeable = True


def test_a_view_outlives_the_generation_and_its_folder(path: Path) -> None:
    folder = published(path, {"bank": random_entries(5000)})
    generation = Generation.open(folder)
    view = generation.segments["phash64"].index.arrays()["planes"][:, 10:-10]
    expected = view.copy()
    shutil.rmtree(folder)
    del generation
    gc.collect()
    # Whatever takes memory now would be seen through a view that is not held.
    filled = [np.full((4, 5000), 0xDEAD, dtype=np.uint16) for _ in range(50)]
    np.testing.assert_array_equal(view, expected)
    assert len(mapped_ranges(folder / "data.mdb")) == 1
    del view, filled
    gc.collect()
    assert mapped_ranges(folder / "data.mdb") == []


def test_opening_twice_in_a_process_maps_the_file_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = published(path, ENTRIES)
    monkeypatch.chdir(path)
    (path / "link").symlink_to(folder)
    paths = (folder, folder, Path(os.path.relpath(folder)), path / "link")
    generations = [Generation.open(each) for each in paths]
    assert [entries_of(generation) for generation in generations] == [ENTRIES] * 4
    assert len(mapped_ranges(folder / "data.mdb")) == 1
    del generations
    gc.collect()
    assert mapped_ranges(folder / "data.mdb") == []
    assert entries_of(Generation.open(folder)) == ENTRIES


def test_opening_many_times_leaves_no_descriptors(path: Path) -> None:
    folder = published(path, ENTRIES)
    before = open_files_below(folder)
    for _ in range(50):
        Generation.open(folder)
    gc.collect()
    assert open_files_below(folder) == before


def test_threads_open_and_let_go_of_one_generation_at_once(path: Path) -> None:
    folder = published(path, ENTRIES)
    expected = list(arrays_of(Generation.open(folder)))

    def open_often(_: int) -> bool:
        return all(list(arrays_of(Generation.open(folder))) == expected for _ in range(500))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(open_often, range(4)))
    assert mapped_ranges(folder / "data.mdb") == []


def test_another_generation_at_the_same_path_is_not_mistaken_for_the_old_one(tmp_path: Path) -> None:
    old, new = (
        published(DataDirectory.create(tmp_path / name).path, {"bank": random_entries(100, seed)})
        for seed, name in enumerate(("old", "new"))
    )
    held = Generation.open(old)
    shutil.rmtree(old)
    new.rename(old)
    expected = codes_from_bytes(b"".join(e.hashes[0].value for e in random_entries(100, seed=1)), PHASH64)
    matches = Generation.open(old).segments["phash64"].index.search(expected, 0)
    assert matches.row.tolist() == list(range(100))
    assert len(held.segments["phash64"].index.search(expected, 0)) == 0


# Files that cannot be opened: three distinct errors.


@pytest.fixture
def folder(path: Path) -> Path:
    return published(path, ENTRIES)


def test_a_folder_without_a_manifest_is_no_generation(folder: Path) -> None:
    (folder / "MANIFEST.json").unlink()
    with pytest.raises(NotADataDirectory, match=re.escape(f"{folder}/MANIFEST.json is missing, so {folder} is not a")):
        Generation.open(folder)


def test_a_file_is_no_generation(folder: Path) -> None:
    with pytest.raises(NotADataDirectory, match=r"MANIFEST.json is missing"):
        Generation.open(folder / "data.mdb")


def test_the_manifest_of_something_else_is_no_generation(folder: Path) -> None:
    (folder / "MANIFEST.json").write_bytes(seal("nearhash data directory", 1, {}))
    with pytest.raises(NotADataDirectory, match=f"MANIFEST.json is not the description of a {MAGIC}"):
        Generation.open(folder)


def test_another_version_is_told(folder: Path) -> None:
    content = read_sealed(folder / "MANIFEST.json", MAGIC, 1)
    (folder / "MANIFEST.json").write_bytes(seal(MAGIC, 2, {k: content[k] for k in content.keys() - {"version"}}))
    with pytest.raises(WrongVersion, match="is of version 2; this release reads version 1 of a nearhash generation"):
        Generation.open(folder)


def test_a_changed_manifest_is_corrupt(folder: Path) -> None:
    manifest = folder / "MANIFEST.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"entry_count": 4', b'"entry_count": 5'))
    with pytest.raises(CorruptData, match=r"MANIFEST.json is damaged: its checksum does not fit"):
        Generation.open(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data.unlink(), "data.mdb is missing"),
        (lambda data: data.write_bytes(b""), r"data.mdb has 0 bytes instead of \d+"),
        (lambda data: data.write_bytes(data.read_bytes() + b"\0"), r"data.mdb has \d+ bytes instead of \d+"),
        (lambda data: data.write_bytes(bytes(data.stat().st_size)), "data.mdb is damaged: its checksum"),
    ],
    ids=["missing", "empty", "longer", "zeros"],
)
def test_a_changed_data_file_is_corrupt(folder: Path, damage: Any, message: str) -> None:
    damage(folder / "data.mdb")
    with pytest.raises(CorruptData, match=message):
        Generation.open(folder)


def test_every_byte_of_the_manifest_counts(path: Path) -> None:
    manifest = published(path, {"omega": ENTRIES["omega"][:1]}) / "MANIFEST.json"
    content = manifest.read_bytes()
    assert b"\\u00e9" in content
    # One bit of each byte in turn, and the one that tells capitals apart.
    for at, bit in product(range(len(content)), (None, 5)):
        damaged = bytearray(content)
        damaged[at] ^= 1 << (at % 8 if bit is None else bit)
        manifest.write_bytes(damaged)
        with pytest.raises((NotADataDirectory, WrongVersion, CorruptData)):
            read_sealed(manifest, MAGIC, 1)


@pytest.mark.parametrize("rounds", [100, pytest.param(2000, marks=pytest.mark.long)])
def test_random_damage_is_refused_and_crashes_nothing(path: Path, rounds: int) -> None:
    folder = published(path, {"bank": random_entries(2000)})
    # In a process of its own: a crash would be its end, not that of the tests.
    *damages, repaired = children.run("open_damaged", folder, rounds, rounds)
    assert len(damages) == rounds
    refusals = {"NotADataDirectory", "WrongVersion", "CorruptData"}
    assert [damage for damage in damages if damage.split()[-1] not in refusals] == []
    assert {damage.split()[0] for damage in damages} == {"MANIFEST.json", "data.mdb"}
    assert repaired == "repaired opened 1"


def test_what_was_verified_is_verified_again_only_once_it_has_changed(path: Path, monkeypatch) -> None:
    folder = published(path, {"omega": ENTRIES["omega"]})
    data = folder / "data.mdb"
    sleep(0.02)
    monkeypatch.setattr(generation_module, "_CLOCK_TICK_NS", 0)
    assert [reads_to_verify(folder) for _ in range(3)] == [1, 0, 0]
    times, content = data.stat(), bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    sleep(0.02)
    data.write_bytes(content)
    os.utime(data, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(CorruptData, match="checksum"):
        Generation.open(folder)


def test_a_file_that_changed_within_a_tick_of_its_clock_is_verified_each_time(path: Path, monkeypatch) -> None:
    monkeypatch.setattr(generation_module, "_CLOCK_TICK_NS", 10**18)
    folder = published(path, {"omega": ENTRIES["omega"]})
    assert [reads_to_verify(folder) for _ in range(3)] == [1, 1, 1]


def test_a_clock_that_keeps_whole_seconds_is_told_by_its_time() -> None:
    assert generation_module._tick_ns(1_800_000_000_004_000_000) == 20_000_000
    assert generation_module._tick_ns(1_800_000_000_000_000_000) == 2_000_000_000


def reads_to_verify(folder: Path) -> int:
    """Return in how many steps a generation is verified as it is opened; there is another one for each array."""
    steps: list[None] = []
    generation = Generation.open(folder, lambda: steps.append(None))
    return len(steps) - len(generation.mapped)


def test_one_that_is_open_is_returned_if_the_folder_holds_the_same(path: Path) -> None:
    folders = [published(path, {"omega": ENTRIES["omega"]}), published(path, {"bank": random_entries(1000)})]
    opened = [Generation.open(folder) for folder in folders]
    for folder, generation in zip(folders, opened, strict=True):
        assert Generation.open(folder, opened=opened) is generation
    assert Generation.open(folders[1], opened=opened[:1]) is not opened[1]
    content = bytearray((folders[0] / "data.mdb").read_bytes())
    content[len(content) // 2] ^= 1
    (folders[0] / "data.mdb").write_bytes(content)
    with pytest.raises(CorruptData, match="checksum"):
        Generation.open(folders[0], opened=opened)


def test_to_find_an_entry_copies_nothing(path: Path) -> None:
    entries = random_entries(30_000)
    generation = Generation.open(published(path, {"bank": entries}))
    assert generation.find("bank", entries[0].key) is not None
    tracemalloc.start()
    try:
        assert generation.find("bank", entries[1].key) is not None
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < generation.entries.bank.nbytes / 10


def test_pages_that_were_let_go_of_are_not_mapped_until_it_is_opened_again_and_hold_what_they_held(path: Path) -> None:
    folder = published(path, {"bank": random_entries(30_000)})
    generation = Generation.open(folder)
    before = {name: array.copy() for name, array in generation.mapped.items()}
    size_bytes = sum(array.nbytes for array in before.values())
    assert mapped_bytes(folder) > 0.9 * size_bytes
    steps: list[None] = []
    generation.forget_pages(lambda: steps.append(None))
    assert steps
    assert mapped_bytes(folder) < 0.2 * size_bytes
    assert Generation.open(folder, opened=[generation]) is generation
    assert mapped_bytes(folder) > 0.9 * size_bytes
    for name, array in generation.mapped.items():
        np.testing.assert_array_equal(array, before[name])


def mapped_bytes(folder: Path) -> int:
    """Return how much of a generation's map is in this process's page table."""
    maps = Path("/proc/self/smaps").read_text()
    own = re.findall(rf"{re.escape(str(folder))}/data.mdb\n.*?^Rss: +(\d+) kB", maps, re.DOTALL | re.MULTILINE)
    return 1024 * sum(map(int, own))
