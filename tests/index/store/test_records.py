from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearhash_index.entries import Bank, Entry, EntryKey, EntryState, Hash, check_entry
from nearhash_index.hash_types import HASH_TYPES, HashType
from nearhash_index.store.records import (
    StoredEntry,
    decode_bank,
    decode_entry,
    encode_bank,
    encode_entry,
    encode_key,
    has_released,
    pack_number,
    pack_sequence,
    replacing,
)

from ..samples import random_hash

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
TEXT = st.characters(exclude_categories=["Cc", "Cs"])
KEYS = st.builds(EntryKey, st.text(TEXT, min_size=1, max_size=60), NAMES)
LABELS = st.lists(
    st.text(TEXT, min_size=1, max_size=64).filter(lambda label: ";" not in label), max_size=4, unique=True
)


def hashes_of(hash_type: HashType) -> st.SearchStrategy[Hash]:
    values = st.binary(min_size=hash_type.size_bytes, max_size=hash_type.size_bytes)
    return st.builds(Hash, st.just(hash_type), values)


HASHES = st.sampled_from(list(HASH_TYPES.values())).flatmap(hashes_of)
NUMBERS = st.integers(0, 2**32 - 1)
ENTRIES = st.builds(
    Entry,
    KEYS,
    st.lists(HASHES, min_size=1, max_size=6, unique=True).map(tuple),
    LABELS.map(tuple),
    st.none() | st.integers(0, 100),
    st.lists(HASHES, max_size=3, unique=True).map(tuple),
)


@st.composite
def stored_entries(draw: st.DrawFn) -> StoredEntry:
    """Draw entries as the registry holds them: released hashes come last and in order."""
    entry = draw(ENTRIES)
    released = draw(st.sets(HASHES, max_size=3)) - {*entry.hashes, *entry.quarantined}
    hashes = entry.hashes + tuple(sorted(released, key=lambda item: item.value))
    state = draw(st.sampled_from(EntryState))
    times = (draw(NUMBERS), draw(NUMBERS), draw(NUMBERS))
    return StoredEntry(entry._replace(hashes=hashes), state, *times, frozenset(released), draw(NUMBERS | st.just(0)))


@given(stored=stored_entries(), other=stored_entries())
def test_a_new_value_keeps_what_stays_of_a_known_one(stored: StoredEntry, other: StoredEntry) -> None:
    known, value = encode_entry(stored), encode_entry(other)
    assert has_released(known) == bool(stored.released)
    kept = {name: getattr(stored, name) for name in ("state", "disabled_until_s", "created_s")}
    assert replacing(known, value) == encode_entry(other._replace(**kept))


@given(number=NUMBERS, stored=stored_entries())
def test_entries_come_back(number: int, stored: StoredEntry) -> None:
    assert check_entry(stored.entry) == stored.entry
    assert decode_entry(encode_key(number, stored.entry.key), encode_entry(stored)) == stored


def test_a_value_of_a_source_that_states_no_times_has_no_room_for_them() -> None:
    entry = Entry(EntryKey("a", "local"), (Hash(HASH_TYPES["phash64"], b"12345678"),), ("x", "yz"), 80)
    value = bytes([2, 81, 0, 0, 1, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 1]) + b"12345678x\nyz"
    stored = StoredEntry(entry, EntryState.DISABLED, 1 << 16, 1, 2)
    assert encode_entry(stored) == value
    assert decode_entry(encode_key(7, entry.key), value) == stored
    assert len(encode_entry(stored._replace(stated_s=3))) == len(value) + 4


@pytest.mark.parametrize(
    ("state", "until_s", "matching"),
    [
        (EntryState.ACTIVE, 0, [True, True, True]),
        (EntryState.DISABLED, 0, [False, False, False]),
        (EntryState.DISABLED, 1000, [False, True, True]),
        (EntryState.WITHDRAWN, 0, [False, False, False]),
    ],
)
def test_an_entry_matches_by_its_state_and_the_time(state: EntryState, until_s: int, matching: list[bool]) -> None:
    stored = StoredEntry(Entry(EntryKey("a", "local"), ()), state, until_s)
    assert [stored.matches_at(now_s) for now_s in (999.9, 1000, 1001)] == matching


def test_the_largest_entry_comes_back_and_its_key_fits_lmdb() -> None:
    rng = np.random.default_rng(1)
    hashes = tuple(random_hash(rng, HASH_TYPES["sha256"]) for _ in range(64))
    labels = tuple(f"{i:02}" + "\N{SNOWMAN}" * 62 for i in range(32))
    entry = Entry(EntryKey("\N{SNOWMAN}" * 85, "s" * 64), hashes, labels)
    assert check_entry(entry) == entry
    key = encode_key(2**32 - 1, entry.key)
    assert len(key) == 324
    assert decode_entry(key, encode_entry(StoredEntry(entry))) == StoredEntry(entry)


@given(first=st.tuples(NUMBERS, KEYS), second=st.tuples(NUMBERS, KEYS))
def test_keys_sort_by_bank_entry_id_and_source(first: tuple[int, EntryKey], second: tuple[int, EntryKey]) -> None:
    assert (encode_key(*first) < encode_key(*second)) == (first < second)
    assert (encode_key(*first) == encode_key(*second)) == (first == second)


@given(entry_id=st.text(TEXT, min_size=1, max_size=3), more=st.text(TEXT, max_size=3), sources=st.tuples(NAMES, NAMES))
def test_an_id_sorts_before_those_that_it_begins(entry_id: str, more: str, sources: tuple[str, str]) -> None:
    first, second = EntryKey(entry_id, sources[0]), EntryKey(entry_id + more, sources[1])
    assert (encode_key(7, first) < encode_key(7, second)) == (first < second)


@given(st.tuples(NUMBERS, NUMBERS))
def test_packed_numbers_sort_like_numbers(numbers: tuple[int, int]) -> None:
    first, second = numbers
    assert (pack_number(first) < pack_number(second)) == (first < second)
    assert (pack_sequence(first << 20) < pack_sequence(second << 20)) == (first < second)


@given(
    number=NUMBERS,
    name=NAMES,
    radius=st.integers(0, 64),
    enabled=st.booleans(),
    labels=LABELS,
    entry_count=st.integers(0, 2**40),
    allowlist=st.booleans(),
)
def test_banks_come_back(
    number: int, name: str, radius: int, enabled: bool, labels: list[str], entry_count: int, allowlist: bool
) -> None:
    bank = Bank(name, dict.fromkeys(HASH_TYPES, radius), enabled, tuple(labels), entry_count, allowlist)
    assert decode_bank(name.encode(), encode_bank(number, bank)) == (number, bank)
