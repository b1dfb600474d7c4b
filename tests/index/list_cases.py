"""A list of every format, and what importing it must make."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from nearhash_index.hash_types import HASH_TYPES

from .formats import test_ncmec as ncmec
from .formats import test_stopncii as stopncii
from .formats.lists import COMPRESSIONS, digits, md5, pdq
from .imported import Content

HEAD = "hash,hash_type,entry_id,source,labels,quality,action\n"


@dataclass
class ListCase:
    """A list, and what importing it into an empty bank must make."""

    files: dict[str, str]
    content: Content
    counts: dict[str, int]
    options: dict[str, object] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    rejected: tuple[tuple[str, str], ...] = ()
    """Places, with room for a suffix of the file's name, and parts of the reasons."""

    def write(self, folder: Path, suffix: str = "") -> Path:
        """Write a file, or several into a folder; return the list's path."""
        folder.mkdir()
        for name, text in self.files.items():
            (folder / f"{name}{suffix}").write_bytes(COMPRESSIONS[suffix](text.encode()))
        return folder if len(self.files) > 1 else folder / f"{next(iter(self.files))}{suffix}"


CSV = ListCase(
    {
        "list.csv": HEAD
        + f"{pdq(1)},pdq256,a,ncmec,x;y,90,upsert\n{md5(1)},md5,a,ncmec,,,\n"
        + f"{pdq(1)},pdq256,a,local,,,\n"  # the same hash, asserted by another source
        + f"{digits(2, 'phash64')},phash64,,,z,,\n"
        + f"{pdq(3)},pdq256,c,local,,10,\n{md5(3)},md5,c,local,,,\n"
        + f"xyz,md5,bad,,,,\n{md5(4)},photodna,d,,,,\n,,nobody,,,,remove\n"
    },
    {
        ("a", "ncmec"): [("pdq256", pdq(1)), ("md5", md5(1))],
        ("a", "local"): [("pdq256", pdq(1))],
        (digits(2, "phash64"), "local"): [("phash64", digits(2, "phash64"))],
        ("c", "local"): [("md5", md5(3))],
    },
    {"added": 4, "unchanged": 1, "quarantined": 1, "rejected": 1},
    skipped={"photodna fingerprint": 1},
    rejected=(("list.csv{}, line 8", "hash: 3 characters; a md5 hash has 32"),),
)
TSV = ListCase(
    {"list.tsv": f"hash\thash_type\tentry_id\n{md5(1)}\tmd5\ta\n"},
    {("a", "tid"): [("md5", md5(1))]},
    {"added": 1},
    options={"source": "tid"},
)
HEX = ListCase(
    {"list.txt": f"# reviewed\n{md5(1)}\n\n{md5(2).upper()}\nnope\n{md5(1)}\n"},
    {(md5(1), "local"): [("md5", md5(1))], (md5(2), "local"): [("md5", md5(2))]},
    {"added": 2, "unchanged": 1, "rejected": 1},
    options={"hash_type": HASH_TYPES["md5"]},
    rejected=(("list.txt{}, line 5", "4 characters"),),
)
JSONL = ListCase(
    {
        "list.jsonl": "\n".join(
            [
                json.dumps(
                    {
                        "entry_id": "a",
                        "labels": ["x"],
                        "hashes": [
                            {"hash_type": "md5", "hash": md5(1)},
                            {"hash_type": "sha1", "hash": digits(1, "sha1")},
                            {"hash_type": "pdq256", "hash": "0" * 64},
                        ],
                    }
                ),
                "{",
                json.dumps({"entry_id": "b", "source": "ncmec", "hash": md5(2), "hash_type": "md5"}),
                json.dumps({"entry_id": "a", "source": "ncmec", "action": "remove"}),
            ]
        )
    },
    {("a", "local"): [("md5", md5(1)), ("sha1", digits(1, "sha1"))], ("b", "ncmec"): [("md5", md5(2))]},
    {"added": 2, "unchanged": 1, "quarantined": 1, "rejected": 1},
    rejected=(("list.jsonl{}, line 2", "not JSON"),),
)
THREATEXCHANGE = ListCase(
    {"list.txt": f"pdq {pdq(1)}\nvideo_md5 {md5(2)}\nvideo_tmk_pdqf abc\npdq {pdq(3)} more\npdq {'f' * 64}\n"},
    {(pdq(1), "local"): [("pdq256", pdq(1))], (md5(2), "local"): [("md5", md5(2))]},
    {"added": 3, "quarantined": 1, "rejected": 1},
    skipped={"video_tmk_pdqf fingerprint": 1},
    rejected=(("list.txt{}, line 4", "not '<signal type> <hash>'"),),
)
_SEVERAL = f"<fingerprints><md5>{md5(1)}</md5><pdna>x</pdna><pdq>{pdq(1)}</pdq></fingerprints>"
NCMEC = ListCase(
    {
        "page-2.xml": ncmec.page(
            ncmec.record(record_id="several", fingerprints=_SEVERAL)
            + ncmec.record("deletedImage", "gone", "2024-05-03T10:00:00Z")
            + ncmec.record(record_id="bad", fingerprints="<fingerprints><md5>12</md5></fingerprints>"),
            next_=ncmec.NEXT,
        ),
        "page-10.xml": ncmec.page(
            ncmec.record(record_id="gone", time="2024-05-02T10:00:00Z"), ncmec.record("video", "film", member="7")
        ),
    },
    {
        ("42/image/several", "ncmec"): [("md5", md5(1)), ("pdq256", pdq(1))],
        ("7/video/film", "ncmec"): [("md5", md5("film"))],
    },
    {"added": 2, "updated": 1, "rejected": 1},
    skipped={"pdna fingerprint": 1, "earlier state of a record": 1},
    rejected=(("page-2.xml{}, image 3 (member 42, id bad), md5", "2 characters"),),
)
STOPNCII = ListCase(
    {
        "page-2.json": stopncii.page(
            stopncii.record("gone", "Withdrawn", 30),
            stopncii.record("stands", "Deleted", caseNumbers={"one": "Deleted", "two": "Active"}),
            stopncii.record("bad", hashValue="0" * 32),
            more=True,
        ),
        "page-10.json": stopncii.page(
            stopncii.record("gone", "Active", 20),
            stopncii.record("film", signalType="VideoMD5", hashValue=md5("film")),
            stopncii.record("text", signalType="VideoTMK"),
        ),
    },
    {
        (f"ImagePDQ/{pdq('stands')}", "stopncii"): [("pdq256", pdq("stands"))],
        (f"VideoMD5/{md5('film')}", "stopncii"): [("md5", md5("film"))],
    },
    {"added": 2, "updated": 1, "rejected": 1},
    skipped={"earlier state of a record": 1, "VideoTMK fingerprint": 1},
    rejected=(("page-2.json{}, record 3", "hashValue: 32 characters"),),
)
CASES = {
    "csv": CSV,
    "tsv": TSV,
    "hex": HEX,
    "jsonl": JSONL,
    "threatexchange": THREATEXCHANGE,
    "ncmec": NCMEC,
    "stopncii": STOPNCII,
}
