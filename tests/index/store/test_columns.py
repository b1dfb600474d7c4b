"""Columns against a plain construction, entry by entry."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearhash_index.codes import codes_to_bytes
from nearhash_index.entries import Entry, EntryKey, Hash
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import DataDirectory, Registry
from nearhash_index.store import columns as columns_module
from nearhash_index.store.changes import Change, Disable, Remove, Unquarantine, Upsert, Withdraw
from nearhash_index.store.columns import Columns

from ..samples import AUTHOR, MD5, PDQ256, PHASH64, entry, random_entries, random_hash, upserts

PAST_S, FUTURE_S = 1, 2**32 - 1
BANKS = ("two", "One", "1")
"""Not in the order of their names, so that numbers and names sort differently."""
RNG = np.random.default_rng(1)
POOL = [random_hash(RNG, HASH_TYPES[name]) for name in HASH_TYPES for _ in range(2)]


class Found(NamedTuple):
    """Columns, decoded: (bank, entry id, source, labels) by row, and (row, hash) in the order of the codes."""

    entries: list[tuple[str, str, str, tuple[str, ...]]]
    codes: dict[str, list[tuple[int, Hash]]]


def decoded(registry: Registry) -> Found:
    with registry.snapshot() as snapshot:
        columns = Columns(snapshot)
    assert (columns.sequence, list(columns.banks)) == (registry.sequence(), registry.banks())
    arrays = dict(columns.entry_arrays())
    assert {name: str(array.dtype) for name, array in arrays.items()} == {
        "entries/bank": "uint32",
        "entries/source": "uint32",
        "entries/labels": "uint32",
        "entries/id_end": "uint64",
        "entries/ids": "uint8",
    }
    packed = arrays["entries/ids"].tobytes()
    ends = arrays["entries/id_end"].tolist()
    assert (ends[-1] if ends else 0) == len(packed)
    ids = [packed[start:end].decode() for start, end in zip([0, *ends], ends, strict=False)]
    sources, label_sets = list(columns.sources), list(columns.label_sets)
    assert (list(columns.sources.values()), list(columns.label_sets.values())) == (
        list(range(len(sources))),
        list(range(len(label_sets))),
    )
    rows = zip(
        arrays["entries/bank"].tolist(),
        ids,
        arrays["entries/source"].tolist(),
        arrays["entries/labels"].tolist(),
        strict=True,
    )
    entries = [(columns.banks[b].name, i, sources[s], label_sets[n]) for b, i, s, n in rows]
    assert columns.entry_count == len(entries)
    codes = {}
    for name, count in columns.hash_counts().items():
        hash_type = HASH_TYPES[name]
        of_type, entry_row = columns.codes(hash_type)
        assert len(of_type) == len(entry_row) == count
        data, width = codes_to_bytes(of_type, hash_type), hash_type.size_bytes
        values = [data[i : i + width] for i in range(0, len(data), width)]
        codes[name] = [(row, Hash(hash_type, value)) for row, value in zip(entry_row.tolist(), values, strict=True)]
    return Found(entries, codes)


def expected(model: dict[str, dict[EntryKey, Entry]]) -> Found:
    """Go through the entries that match in the order of a generation."""
    entries = []
    codes: dict[str, list[tuple[int, Hash]]] = {}
    for bank in sorted(model):
        for key in sorted(model[bank], key=lambda key: (key.entry_id.encode(), key.source)):
            each = model[bank][key]
            for item in each.hashes:
                codes.setdefault(item.hash_type.name, []).append((len(entries), item))
            entries.append((bank, key.entry_id, key.source, each.labels))
    return Found(entries, codes)


def assert_same(found: Found, wanted: Found) -> None:
    assert found.entries == wanted.entries
    assert found.codes == wanted.codes


IDS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=4)
KEYS = st.builds(EntryKey, IDS | st.sampled_from(["a", "ab", "\N{SNOWMAN}"]), st.sampled_from(["a", "B", "ncmec-long"]))
HASHES = st.lists(st.sampled_from(POOL), min_size=1, max_size=5, unique=True).map(tuple)
LABELS = st.lists(st.sampled_from(["x", "y", "caf\u00e9"]), max_size=3, unique=True).map(tuple)
KINDS = ["kept"] * 5 + ["quarantined", "released", "disabled", "over", "not yet", "withdrawn", "removed"]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_columns_are_those_of_a_plain_construction(data: st.DataObject) -> None:
    chunk = data.draw(st.sampled_from([1, 2, 3, 100]))
    keys = st.lists(KEYS, max_size=8, unique=True)
    with TemporaryDirectory() as folder, Registry(DataDirectory.create(Path(folder))) as registry:
        model: dict[str, dict[EntryKey, Entry]] = {}
        for bank in BANKS:
            registry.create_bank(bank, {}, author=AUTHOR)
            model[bank] = {}
            for key in data.draw(keys):
                each = Entry(key, data.draw(HASHES), data.draw(LABELS), data.draw(st.none() | st.integers(0, 100)))
                kind = data.draw(st.sampled_from(KINDS))
                put(registry, bank, each, kind, data.draw(st.sampled_from([0, 0, 1, 2**32 - 1])))
                if kind in {"kept", "over", "quarantined", "released"}:
                    model[bank][key] = matched_part(each, kind)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(columns_module, "_CHUNK", chunk)
            assert_same(decoded(registry), expected(model))


def put(registry: Registry, bank: str, each: Entry, kind: str, stated_s: int) -> None:
    """Add an entry and bring it into a state."""
    if kind in {"quarantined", "released"}:
        each = each._replace(hashes=each.hashes[1:], quarantined=each.hashes[:1])
    changes: list[Change] = [Upsert(each, stated_s)]
    by_kind: dict[str, Change] = {
        "released": Unquarantine(each.key),
        "disabled": Disable(each.key),
        "over": Disable(each.key, PAST_S),
        "not yet": Disable(each.key, FUTURE_S),
        "withdrawn": Withdraw(each.key),
        "removed": Remove(each.key),
    }
    changes += [by_kind[kind]] if kind in by_kind else []
    registry.apply(bank, changes, AUTHOR)


def matched_part(each: Entry, kind: str) -> Entry:
    """Return the entry with the hashes that match, a released one last."""
    if kind in {"quarantined", "released"}:
        return each._replace(hashes=each.hashes[1:] + (each.hashes[:1] if kind == "released" else ()))
    return each


@pytest.mark.parametrize("chunk", [1, 7, 999, 1000, 1001])
def test_chunks_leave_no_seams(registry: Registry, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns_module, "_CHUNK", chunk)
    entries = [each._replace(labels=(str(i % 7),)) for i, each in enumerate(random_entries(1000))]
    registry.create_bank("bank", {}, author=AUTHOR)
    registry.apply("bank", upserts(entries), AUTHOR)
    assert_same(decoded(registry), expected({"bank": {each.key: each for each in entries}}))


def test_an_entry_with_as_many_hashes_as_there_can_be(registry: Registry) -> None:
    rng = np.random.default_rng(2)
    hashes = [random_hash(rng, kind) for _ in range(21) for kind in (PDQ256, PHASH64, MD5)]
    entries = [entry("\N{SNOWMAN}" * 85, *hashes, source="s" * 64), entry("b", hashes[0])]
    registry.create_bank("bank", {}, author=AUTHOR)
    registry.apply("bank", upserts(entries), AUTHOR)
    found = decoded(registry)
    assert_same(found, expected({"bank": {each.key: each for each in entries}}))
    assert {name: len(of_type) for name, of_type in found.codes.items()} == {"phash64": 21, "pdq256": 22, "md5": 21}


def test_without_entries_there_are_no_rows(registry: Registry) -> None:
    assert decoded(registry) == Found([], {})
    registry.create_bank("bank", {}, author=AUTHOR)
    registry.apply("bank", [Withdraw(EntryKey("a", "b"))], AUTHOR)
    assert decoded(registry) == Found([], {})
