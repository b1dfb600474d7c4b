from __future__ import annotations

from pathlib import Path

import pytest

from nearhash_index.entries import EntryKey
from nearhash_index.errors import InvalidInput
from nearhash_index.formats import Item, ListOptions, Quarantined, Rejected, Removal, Skipped, Upsert, read_list
from tests.index.formats.lists import COMPRESSIONS, digits, hashes, md5, of, pdq, read

STATED_S = 1714557600
"""2024-05-01T10:00:00Z."""
NEXT = "/v2/entries?from=2024-05-01T00%3A00%3A00.000Z&amp;start=2001&amp;size=1000&amp;max=3000"


def record(
    name: str = "image",
    record_id: str = "1",
    time: str = "2024-05-01T10:00:00Z",
    fingerprints: str | None = None,
    member: str = "42",
    more: str = "",
) -> str:
    inside = f"<fingerprints><md5>{md5(record_id)}</md5></fingerprints>" if fingerprints is None else fingerprints
    return f"""
        <{name}>
            <member id="{member}">Member {member}</member>
            <timestamp>{time}</timestamp>
            <id>{record_id}</id>
            {more}
            {"" if name.startswith("deleted") else inside}
        </{name}>"""


def page(images: str = "", videos: str = "", count: int | None = None, next_: str = "") -> str:
    counted = "" if count is None else f'count="{count}"'
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<queryResult xmlns="https://hashsharing.ncmec.org/hashsharing/v2">
    <images {counted} maxTimestamp="2024-05-01T15:10:00Z">{images}
    </images>
    <videos maxTimestamp="2024-05-01T15:20:00Z">{videos}
    </videos>
    {f"<paging><next>{next_}</next></paging>" if next_ else ""}
</queryResult>"""


def folder(path: Path, **pages: str) -> list[Item]:
    path.mkdir()
    for name, text in pages.items():
        (path / f"{name.replace('_', '-')}.xml").write_text(text)
    return list(read_list(path))


def test_records(tmp_path: Path) -> None:
    several = f"<fingerprints><md5>{md5(1)}</md5><sha1>{digits(1, 'sha1')}</sha1><pdna>a1…</pdna><pdq>{pdq(1)}</pdq>"
    several += "<ssvh_pdna>x</ssvh_pdna></fingerprints>"
    feedback = (
        '<feedback><affirmativeFeedback type="MD5" lastUpdateTimestamp="x"><members/></affirmativeFeedback></feedback>'
    )
    images = record(record_id="abc", fingerprints=several, more="<classification>A1</classification>" + feedback)
    images += record("deletedImage", "def", member="43")
    videos = record("video", "abc", more="<classification/><feedback/>")
    items = read(tmp_path / "page.xml", page(images, videos, count=2))
    assert hashes(items) == {
        "42/image/abc": [f"md5 {md5(1)}", f"sha1 {digits(1, 'sha1')}", f"pdq256 {pdq(1)}"],
        "42/video/abc": [f"md5 {md5('abc')}"],
    }
    image, video = of(items, Upsert)
    assert (image.place, image.entry.labels) == ("page.xml, image 1 (member 42, id abc)", ("A1",))
    assert (video.place, video.entry.labels) == ("page.xml, video 1 (member 42, id abc)", ())
    assert image.entry.key.source == "ncmec"
    place = "page.xml, image 2 (member 43, id def)"
    assert of(items, Removal) == [Removal(place, EntryKey("43/image/def", "ncmec"), withdrawn=True, stated_s=STATED_S)]
    assert [item.what for item in of(items, Skipped)] == ["pdna fingerprint", "ssvh_pdna fingerprint"]
    assert not of(items, Rejected)


@pytest.mark.parametrize(
    ("time", "stated_s"),
    [
        ("2024-05-01T10:00:00Z", STATED_S),
        ("2024-05-01T10:00:00.9+00:00", STATED_S),
        ("2024-05-01T12:00:00+02:00", STATED_S),
        ("2024-05-01T10:00:00", STATED_S),
        ("1969-12-31T23:59:59Z", 0),
        ("9999-12-31T23:59:59Z", 0),
        ("yesterday", 0),
        ("", 0),
    ],
)
def test_times_that_records_state(tmp_path: Path, time: str, stated_s: int) -> None:
    flat = f"<fingerprints><pdq>{'0' * 64}</pdq><md5>{md5(1)}</md5></fingerprints>"
    images = record(record_id="a", time=time, fingerprints=flat) + record("deletedImage", "b", time)
    items = read(tmp_path / "page.xml", page(images, record("video", "c", time)))
    stated = {item.key.entry_id: item.stated_s for item in items if isinstance(item, (Upsert, Removal))}
    assert stated == dict.fromkeys(("42/image/a", "42/image/b", "42/video/c"), stated_s)


@pytest.mark.parametrize("suffix", COMPRESSIONS)
def test_pages_update_and_delete_what_others_brought(tmp_path: Path, suffix: str) -> None:
    pages = {
        "page-2.xml": page(
            record(record_id="updated", time="2024-05-01T10:00:00Z", more="<classification>A1</classification>")
            + record("deletedImage", "deleted", "2024-05-03T10:00:00.5+00:00")
            + record(record_id="restored", time="2024-05-04T10:00:00Z"),
            next_=NEXT,
        ),
        "page-10.xml": page(
            record(record_id="updated", time="2024-05-01T09:59:59Z", more="<classification>B2</classification>")
            + record(record_id="deleted", time="2024-05-02T10:00:00Z")
            + record("deletedImage", "restored", "2024-05-03T10:00:00Z")
            + record("deletedImage", "tie")
            + record(record_id="tie")
            + record("deletedImage", "timeless", "")
            + record(record_id="timeless", time="2030-01-01T00:00:00Z")
        ),
    }
    (tmp_path / "pages").mkdir()
    for name, text in pages.items():
        (tmp_path / "pages" / f"{name}{suffix}").write_bytes(COMPRESSIONS[suffix](text.encode()))
    items = list(read_list(tmp_path / "pages", ListOptions(source="tid")))
    assert {item.entry.key.entry_id: item.entry.labels for item in of(items, Upsert)} == {
        "42/image/updated": ("A1",),
        "42/image/restored": (),
    }
    assert {item.key.entry_id for item in of(items, Removal)} == {
        f"42/image/{i}" for i in ("deleted", "tie", "timeless")
    }
    assert all(item.key.source == "tid" for item in of(items, Removal))
    assert [item.what for item in of(items, Skipped)] == ["earlier state of a record"] * 5
    assert not of(items, Rejected)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (record(member=""), "member"),
        (record(member="4/2"), "member"),
        (record().replace("<member", "<x").replace("</member", "</x"), "member"),
        (record(record_id=""), "id: missing"),
        (record("deletedImage", ""), "id: missing"),
        (record(fingerprints=""), "fingerprints: missing"),
        (record(fingerprints="<fingerprints/>"), "fingerprints: missing"),
        (record(fingerprints="<fingerprints><md5>12</md5></fingerprints>"), "2 characters"),
        (record(record_id="i" * 300), "bytes of UTF-8"),
        (record(more=f"<classification>{'A' * 65}</classification>"), "no label"),
        (record("picture"), "none of image, deletedImage"),
    ],
)
def test_malformed_record_spoils_nothing_else(tmp_path: Path, bad: str, reason: str) -> None:
    items = read(tmp_path / "page.xml", page(record(record_id="a") + bad + record(record_id="b"), count=3))
    assert list(hashes(items)) == ["42/image/a", "42/image/b"]
    (rejected,) = of(items, Rejected)
    assert rejected.place.startswith("page.xml, image 2")
    assert reason in rejected.reason


def test_malformed_fingerprint_spoils_not_its_record(tmp_path: Path) -> None:
    some = f"<fingerprints><sha1>xyz</sha1><md5>{md5(1)}</md5><pdq/></fingerprints>"
    items = read(tmp_path / "page.xml", page(record(fingerprints=some)))
    assert hashes(items) == {"42/image/1": [f"md5 {md5(1)}"]}
    assert [item.place for item in of(items, Rejected)] == ["page.xml, image 1 (member 42, id 1), sha1"]


def test_malformed_later_state_leaves_the_earlier_one(tmp_path: Path) -> None:
    later = record(time="2025-01-01T00:00:00Z", fingerprints="<fingerprints><md5>12</md5></fingerprints>")
    items = read(tmp_path / "page.xml", page(record() + later))
    assert list(hashes(items)) == ["42/image/1"]
    assert len(of(items, Rejected)) == 1


def test_record_of_types_that_are_not_compared(tmp_path: Path) -> None:
    items = read(tmp_path / "page.xml", page(record(fingerprints="<fingerprints><pdna>12</pdna></fingerprints>")))
    assert items == [Skipped("page.xml, image 1 (member 42, id 1)", "pdna fingerprint")]


def test_degenerate_hash(tmp_path: Path) -> None:
    flat = f"<fingerprints><pdq>{'0' * 64}</pdq><md5>{md5(1)}</md5></fingerprints>"
    items = read(tmp_path / "page.xml", page(record(fingerprints=flat)))
    assert hashes(items) == {"42/image/1": [f"md5 {md5(1)}"]}
    assert [item.key.entry_id for item in of(items, Quarantined)] == ["42/image/1"]


@pytest.mark.parametrize("members", [{"42"}, {"Member 42", "7"}])
def test_members(tmp_path: Path, members: set[str]) -> None:
    text = page(record(record_id="a") + record(record_id="b", member="43") + record("deletedImage", "c", member="43"))
    items = read(tmp_path / "page.xml", text, members=frozenset(members))
    assert list(hashes(items)) == ["42/image/a"]
    assert [item.what for item in of(items, Skipped)] == ["record of another member"] * 2
    assert not of(items, Removal)


def test_count_may_disagree(tmp_path: Path) -> None:
    items = read(tmp_path / "page.xml", page(record(), count=1000))
    assert list(hashes(items)) == ["42/image/1"]
    assert of(items, Skipped) == [Skipped("page.xml, images", "count that disagrees with the images there")]


def test_last_page_that_names_a_next_one(tmp_path: Path) -> None:
    items = folder(tmp_path / "list", page_1=page(record(), next_=NEXT), page_2=page(record(record_id="2"), next_=NEXT))
    assert len(hashes(items)) == 2
    (rejected,) = of(items, Rejected)
    assert rejected.place == "page-2.xml"
    assert "next page" in rejected.reason


def test_page_that_breaks_off_spoils_no_other(tmp_path: Path) -> None:
    whole = page(record(record_id="a") + record(record_id="b"), next_=NEXT)
    cut = whole[: whole.index("<id>b")]
    items = folder(tmp_path / "list", page_1=cut, page_2=page(record(record_id="c")))
    assert list(hashes(items)) == ["42/image/a", "42/image/c"]
    (rejected,) = of(items, Rejected)
    assert rejected.place == "page-1.xml"
    assert "not well-formed" in rejected.reason


def test_nested_too_deep(tmp_path: Path) -> None:
    items = read(tmp_path / "page.xml", page(record(record_id="a") + "<image>" + "<x>" * 100_000))
    assert list(hashes(items)) == ["42/image/a"]
    assert "nested" in of(items, Rejected)[0].reason


def test_endless_element(tmp_path: Path) -> None:
    items = read(tmp_path / "page.xml", page(record(record_id="a") + f"<image><id>{'x' * (40 << 20)}"))
    assert list(hashes(items)) == ["42/image/a"]
    assert "larger than" in of(items, Rejected)[0].reason


BOMB = "<!DOCTYPE queryResult [<!ENTITY a 'aaaaaaaaaa'>" + "".join(
    f"<!ENTITY {chr(98 + i)} '{f'&{chr(97 + i)};' * 10}'>" for i in range(12)
)


@pytest.mark.timeout(5)
@pytest.mark.parametrize(
    "text",
    [
        f"{BOMB}]><queryResult>&m;</queryResult>",
        "<!DOCTYPE q [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><queryResult>&x;</queryResult>",
        "<!DOCTYPE q SYSTEM 'http://localhost/x.dtd'><queryResult/>",
        "<html><body/></html>",
        "<queryRes",
        "<?xml version='1.0' encoding='utf-99'?><queryResult/>",
    ],
)
def test_pages_that_are_none_or_unsafe(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInput) as error:
        read(tmp_path / "page.xml", text)
    assert error.value.field == str(tmp_path / "page.xml")
