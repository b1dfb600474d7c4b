"""The examples of the documentation, run against a server with the photographs of the demo."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from nearhash_client import Client
from nearhash_client.hashing import compute
from nearhash_index.entries import Entry, EntryKey, Hash, radii_with_defaults
from nearhash_index.hash_types import HASH_TYPES
from nearhash_index.store import DataDirectory, Registry, publish
from nearhash_index.store.changes import Author, Upsert

from ..demo.photographs import photographs
from ..service.certificates import Authority
from ..service.running import BIN, serving

ROOT = Path(__file__).parents[2]
WRITTEN_TARGET = "127.0.0.1:50051"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
AUTHOR = Author("the examples")


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    directory = DataDirectory.create(folder / "data")
    with Registry(directory) as registry:
        registry.create_bank("photographs", radii_with_defaults({}), author=AUTHOR)
        registry.apply("photographs", [Upsert(_entry(name, image)) for name, image in list(photographs())[:4]], AUTHOR)
    publish(folder / "data")
    with serving(folder / "server", folder / "data") as running:
        yield running.address


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
    authority = Authority(tmp_path, "ca")
    authority.issue("backend")
    Path("token").write_text("abc.123")
    return tmp_path


def examples(page: str, target: str) -> list[tuple[str, str | None]]:
    """Return each block of Python of a page, with the output that follows it, if one does."""
    blocks = BLOCK.findall((ROOT / page).read_text().replace(WRITTEN_TARGET, target))
    following = [*blocks[1:], ("", "")]
    return [
        (code, output if kind == "" and output else None)
        for (language, code), (kind, output) in zip(blocks, following, strict=True)
        if language == "python"
    ]


@pytest.mark.usefixtures("folder")
def test_the_readme_finds_the_cat(target, capsys):
    (code, output), (one_call, _), *_ = examples("README.md", target)
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


@pytest.mark.usefixtures("folder")
def test_the_client_page_says_what_happens(target, capsys):
    # Last: it withdraws the cat.
    namespace: dict[str, object] = {"__name__": "example"}
    ran = 0
    for code, output in examples("docs/client.md", target):
        exec(compile(code, "docs/client.md", "exec"), namespace)  # noqa: S102 - our own page
        assert capsys.readouterr().out == (output or ""), code
        ran += 1
    assert ran == 9
