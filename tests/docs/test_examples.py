"""The examples of the documentation, run against a server with the photographs of the demo."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nearhash_client import Client
from nearhash_client.hashing import compute
from nearhash_index.entries import Entry, EntryKey, Hash, radii_with_defaults
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import DataDirectory, Registry, publish
from nearhash_index.store.changes import Author, Upsert

from ..client.hashing.test_video import encode, scenes
from ..demo.photographs import photographs
from ..index.formats.lists import md5, pdq
from ..index.formats.test_ncmec import page, record
from ..service.certificates import Authority
from ..service.running import BIN, Running, eventually, serving
from .pages import ROOT, python_examples, steps
from .sessions import accepts, is_nearhash, type_in, write_shown_files

AUTHOR = Author("the examples")


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("examples")
    directory = DataDirectory.create(folder / "data")
    with Registry(directory) as registry:
        registry.create_bank("photographs", radii_with_defaults({}), author=AUTHOR)
        registry.apply("photographs", [Upsert(_entry(name, image)) for name, image in list(photographs())[:4]], AUTHOR)
    publish(folder / "data")
    with serving(folder / "server", folder / "data") as running:
        yield running


@pytest.fixture(scope="module")
def target(server) -> str:
    return server.address


def _entry(name, image) -> Entry:
    hashes = tuple(Hash(HASH_TYPES[item.hash_type], item.value) for item in compute(image))
    return Entry(EntryKey(entry_id=name, source="local"), hashes, ("photograph",))


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A working folder with the files that examples name."""
    monkeypatch.chdir(tmp_path)
    images = dict(photographs())
    cat = images["chelsea"]
    cat.resize((cat.width // 2, cat.height // 2)).save("cat-small.jpg", quality=30)
    images["rocket"].save("other.jpg")
    images["coins"].save("reported.jpg")
    authority = Authority(tmp_path, "ca")
    authority.issue("backend")
    Path("token").write_text("abc.123")
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_the_readme_finds_the_cat(target, capsys):
    (code, output), (one_call, _), *_ = python_examples("README.md", target)
    namespace: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), namespace)  # noqa: S102 - our own page
    # The distance depends on the version of the JPEG codec.
    assert re.sub(r"\d+", "N", capsys.readouterr().out) == re.sub(r"\d+", "N", output)
    exec(compile(one_call, "README.md", "exec"), namespace)  # noqa: S102 - our own page
    assert capsys.readouterr().out.endswith(" True\n")


@pytest.mark.usefixtures("folder")
def test_buf_curl_answers_what_the_python_client_does(target):
    page = (ROOT / "README.md").read_text()
    (body,) = re.findall(r"buf curl .*?Lookup \\\n\s+-d '(.*?)'", page, re.DOTALL)
    url = f"http://{target}/nearhash.v1.LookupService/Lookup"
    command = [BIN / "buf", "curl", "--protocol", "grpc", "--http2-prior-knowledge", url, "-d", body]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    answer = json.loads(done.stdout)
    with Client(target) as client:
        result = client.lookup(["b15fe6465121175e"])
    assert [
        (match.get("query", 0), match.get("distance", 0), match["bank"], match["entryId"], match["source"])
        for match in answer["matches"]
    ] == [(match.query, match.distance, match.bank, match.entry_id, match.source) for match in result.matches]
    assert (int(answer["generation"]), int(answer["sequence"])) == (result.generation, result.sequence)
    written = json.loads(re.search(r"buf curl .*?'\n(\{.*?^\})", page, re.DOTALL | re.MULTILINE)[1])
    assert answer["matches"] == written["matches"]


PAGES = ("README.md", "clients/HASHING.md", "docs/operating.md", "service/OBSERVING.md", "service/SECURITY.md")


def test_every_command_on_a_page_is_one():
    shown = [(page, step) for page in PAGES for step in steps(page) if is_nearhash(step)]
    assert [(page, told) for page, step in shown if (told := accepts(step))] == []
    assert len(shown) >= 28


@pytest.mark.usefixtures("folder")
def test_the_sessions_of_the_readme_print_what_it_says(target):
    shown = list(steps("README.md"))
    write_shown_files(shown)
    Path("nearhash.toml").write_text('[server]\ndata = "/srv/nearhash/lists"\n')
    Path("bad.csv").write_text("hash,hash_type,entry_id\nc2924c5532bddfc,phash64,case-3\n")
    typed = 0
    for step in shown:
        if is_nearhash(step) and "nearhash serve" not in step.command:
            # What a picture is hashed to, and so a distance, depends on the version of the JPEG codec.
            type_in(step, target, numbers="cat-small.jpg" not in step.command)
            typed += 1
    assert typed == 10


@pytest.mark.usefixtures("folder")
def test_the_operators_handbook_tells_what_happens(server):
    Path("lists").symlink_to(server.data)
    frames = f"<fingerprints><md5>{md5(1)}</md5><pdq>{pdq(1)}</pdq></fingerprints>"
    days = {
        "2026-11-24": page(record(record_id="1001", fingerprints=frames) + record(member="7"), record("video", "1002")),
        "2026-11-25": page("", record("deletedVideo", "1002")),
    }
    for day, text in days.items():
        Path("ncmec", day).mkdir(parents=True)
        Path("ncmec", day, "page-1.xml").write_text(text)
    for step in steps("docs/operating.md"):
        type_in(step, server.address)


@pytest.mark.usefixtures("folder")
def test_the_page_on_hashing_finds_the_cat(target):
    told: list[dict] = []
    namespace: dict[str, object] = {"upload": Path("cat-small.jpg").read_bytes(), "log": told.append}
    Path("clip.mp4").write_bytes(encode(scenes()))
    for code, _ in python_examples("clients/HASHING.md", target):
        exec(compile(code, "clients/HASHING.md", "exec"), namespace)  # noqa: S102 - our own page
    (verdict,) = told
    assert (verdict["complete"], verdict["banks"][0]["reasons"][0]["entry_id"]) == (True, "chelsea")
    assert (namespace["verdict"].frames, namespace["verdict"].complete) == (len(scenes()), True)
    pdq, _ = namespace["hashes"]
    (added,) = eventually(lambda: namespace["client"].lookup([pdq.value], hash_type="pdq256").matches)
    assert (added.entry_id, added.hashers) == ("review-18", (pdq.hasher,))
    namespace["pool"].close()
    namespace["client"].close()
    Path("uploads").mkdir()
    for name in ("cat-small.jpg", "other.jpg"):
        Path(name).rename(f"uploads/{name}")
    for step in steps("clients/HASHING.md"):
        type_in(step, target, numbers=False)
    for name in ("hashes", "answers", "verdicts"):
        lines = Path(f"{name}.jsonl").read_text().splitlines()
        assert {json.loads(line)["file"] for line in lines} == {"uploads/cat-small.jpg", "uploads/other.jpg"}


@pytest.mark.usefixtures("folder")
def test_the_client_page_says_what_happens(target, capsys):
    # After all that expect the cat: it withdraws it.
    namespace: dict[str, object] = {"__name__": "example"}
    ran = 0
    for code, output in python_examples("docs/client.md", target):
        exec(compile(code, "docs/client.md", "exec"), namespace)  # noqa: S102 - our own page
        assert capsys.readouterr().out == (output or ""), code
        ran += 1
    assert ran == 9
