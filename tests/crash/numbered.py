"""Lists of numbered entries, all of one version, and what a registry holds of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nearhash_index.store import Registry

from ..index.imported import BANK, Imported, look_up


def write_list(path: Path, numbers: range, version: int) -> Path:
    """Write a list whose hashes tell their version and number, in the order of the registry's keys."""
    rows = "".join(f"{version:016x}{number:016x},md5,{number:07}\n" for number in numbers)
    path.write_text("hash,hash_type,entry_id\n" + rows)
    return path


@dataclass(frozen=True)
class Held:
    """What a registry holds, checked to be sound.

    Attributes
    ----------
    numbers, versions : int64[n]
        Of its entries, by number.
    """

    sequence: int
    numbers: NDArray[np.int64]
    versions: NDArray[np.int64]


def held(imported: Imported, since: int = 1) -> Held:
    """Read every entry and the change log after a sequence; fail if they contradict each other."""
    with Registry(imported.directory) as registry, registry.snapshot() as snapshot:
        raw = list(snapshot.raw_entries(BANK))
        logged = list(snapshot.changed_after(since))
        (bank,) = registry.banks()
        sequence = registry.sequence()
        last = registry.audit(1)[0].last_sequence
    values = np.frombuffer(b"".join(value[-16:] for _, value in raw), dtype=">i8").reshape(-1, 2)
    assert len({len(value) for _, value in raw}) <= 1
    assert [key.split(b"\0")[-2][-7:] for key, _ in raw] == [b"%07d" % number for number in values[:, 1]]
    assert bank.entry_count == len(raw)
    # The log has every change, each once.
    assert [number for number, _ in logged] == list(range(since + 1, sequence + 1))
    assert {key for _, key in logged} <= {key for key, _ in raw}
    assert last == sequence
    return Held(sequence, values[:, 1].astype(np.int64), values[:, 0].astype(np.int64))


def check_lookups(imported: Imported, expected: Held) -> None:
    """Publish, and look some entries up."""
    imported.publish()
    chosen = [*range(0, len(expected.numbers), 5000), len(expected.numbers) - 1]
    wanted = {
        ("md5", f"{expected.versions[i]:016x}{expected.numbers[i]:016x}"): [(f"{expected.numbers[i]:07}", "local")]
        for i in chosen
    }
    assert look_up(imported.view(), wanted) == wanted
    older = [("md5", f"{expected.versions[i] - 1:016x}{expected.numbers[i]:016x}") for i in chosen]
    assert look_up(imported.view(), older) == {}
