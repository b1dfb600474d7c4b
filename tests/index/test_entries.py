from __future__ import annotations

import numpy as np
import pytest

from nearhash_index.entries import (
    EntryKey,
    Hash,
    check_degenerate,
    check_entry,
    check_key,
    check_labels,
    check_name,
    radii_with_defaults,
)
from nearhash_index.errors import InvalidInput
from nearhash_index.hash_types import HASH_TYPES

from .samples import MD5, PDQ256, PHASH64, entry, random_hash

GOOD = random_hash(np.random.default_rng(1))


@pytest.mark.parametrize("name", ["a", "0", "ncmec", "Take-It_Down.v2", "x" * 64])
def test_names(name: str) -> None:
    assert check_name(name, "name") == name


@pytest.mark.parametrize(
    "name", ["", "-a", ".a", "_a", "a b", "a/b", "a\n", "\N{LATIN SMALL LETTER E WITH ACUTE}", "x" * 65]
)
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(InvalidInput, match="is no name; use 1 to 64 letters, digits") as caught:
        check_name(name, "bank")
    assert caught.value.field == "bank"


@pytest.mark.parametrize("entry_id", ["a", "7 / 8, \N{SNOWMAN}", "x" * 255, "\N{SNOWMAN}" * 85])
def test_entry_ids(entry_id: str) -> None:
    key = EntryKey(entry_id, "ncmec")
    assert check_key(key) == key


@pytest.mark.parametrize(
    ("entry_id", "problem"),
    [
        ("", "0 bytes of UTF-8; use 1 to 255"),
        ("x" * 256, "256 bytes of UTF-8; use 1 to 255"),
        ("\N{SNOWMAN}" * 86, "258 bytes of UTF-8; use 1 to 255"),
        ("a\0b", "holds control characters"),
        ("a\n", "holds control characters"),
        ("\x7f", "holds control characters"),
        ("\ud800", "holds control characters"),
    ],
)
def test_what_is_no_entry_id(entry_id: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem) as caught:
        check_key(EntryKey(entry_id, "ncmec"), "key")
    assert caught.value.field == "key.entry_id"


def test_a_bad_source_is_named() -> None:
    with pytest.raises(InvalidInput) as caught:
        check_key(EntryKey("1", "no source"), "key")
    assert caught.value.field == "key.source"


def test_labels_lose_repetitions_and_keep_their_order() -> None:
    assert check_labels(["b", "a", "b", "x" * 64]) == ("b", "a", "x" * 64)
    assert check_labels([]) == ()


@pytest.mark.parametrize("label", ["", "a;b", "a\nb", "x" * 65, "\x00", "\udfff"])
def test_what_is_no_label(label: str) -> None:
    with pytest.raises(InvalidInput, match="is no label; use 1 to 64 printable characters without ';'") as caught:
        check_labels(["fine", label], "entry.labels")
    assert caught.value.field == "entry.labels"


def test_labels_have_a_bound() -> None:
    assert len(check_labels([str(i) for i in range(32)])) == 32
    with pytest.raises(InvalidInput, match="33 labels; use at most 32"):
        check_labels([str(i) for i in range(33)])


def test_an_entry_loses_repetitions() -> None:
    other = Hash(MD5, b"\1" * 16)
    checked = check_entry(entry("1", GOOD, other, GOOD, labels=("a", "a")))
    assert checked == entry("1", GOOD, other, labels=("a",))


@pytest.mark.parametrize("count", [0, 256])
def test_an_entry_has_1_to_255_hashes(count: int) -> None:
    rng = np.random.default_rng(2)
    with pytest.raises(InvalidInput, match=f"{count} hashes; use 1 to 255") as caught:
        check_entry(entry("1", *(random_hash(rng) for _ in range(count))), "changes[3].upsert")
    assert caught.value.field == "changes[3].upsert.hashes"
    assert len(check_entry(entry("1", *(random_hash(rng) for _ in range(255)))).hashes) == 255


@pytest.mark.parametrize("off", [-1, 1])
@pytest.mark.parametrize("name", HASH_TYPES)
def test_a_hash_of_another_width_is_named_by_position(name: str, off: int) -> None:
    hash_type = HASH_TYPES[name]
    wrong = Hash(hash_type, b"\x5a" * (hash_type.size_bytes + off))
    message = f"{hash_type.size_bytes + off} bytes; a {name} hash has {hash_type.size_bytes}"
    with pytest.raises(InvalidInput, match=message) as caught:
        check_entry(entry("1", GOOD, wrong))
    assert caught.value.field == "entry.hashes[1].value"


@pytest.mark.parametrize(
    ("changed", "field"),
    [({"key": EntryKey("", "local")}, "entry.key.entry_id"), ({"labels": ("",)}, "entry.labels")],
)
def test_key_and_labels_of_an_entry_are_checked(changed: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_entry(entry("1", GOOD)._replace(**changed))
    assert caught.value.field == field


def test_the_degenerate_hash_is_named_among_hashes_of_several_types() -> None:
    rng = np.random.default_rng(4)
    hashes = [
        ("a", Hash(MD5, bytes(16))),
        ("b", random_hash(rng, PDQ256)),
        ("c", random_hash(rng, PHASH64)),
        ("d", Hash(PDQ256, bytes(32))),
    ]
    check_degenerate(hashes[:3])
    with pytest.raises(InvalidInput, match="this pdq256 hash says too little about its image") as caught:
        check_degenerate(hashes)
    assert caught.value.field == "d"


def test_radii_are_completed_by_each_types_default() -> None:
    radii = radii_with_defaults({"pdq256": 20})
    assert radii == {name: t.default_radius for name, t in HASH_TYPES.items()} | {"pdq256": 20}


def test_radii_are_completed_by_given_defaults() -> None:
    defaults = dict.fromkeys(HASH_TYPES, 3)
    assert radii_with_defaults({"pdq256": 20}, defaults) == defaults | {"pdq256": 20}
    assert defaults["pdq256"] == 3


@pytest.mark.parametrize(
    ("radii", "field"),
    [({"pdq": 3}, "radii.hash_type"), ({"phash64": 65}, "radii[phash64]"), ({"md5": -1}, "radii[md5]")],
)
def test_wrong_radii_are_named(radii: dict[str, int], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        radii_with_defaults(radii)
    assert caught.value.field == field
