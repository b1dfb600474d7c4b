"""The command as an operator uses it, on a data directory and through a server."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from nearhash_client.hashing import compute
from nearhash_service.cli.app import app

from ..demo.photographs import generated
from ..service.running import connected, eventually, serving
from .commands import bracketed, failed, failed_here, ok, ok_here, run_here

GROUPS = {"bank": ["create", "list", "update"], "quarantine": ["list", "release"]}
COMMANDS = [
    *GROUPS,
    *(f"{group} {name}" for group, names in GROUPS.items() for name in names),
    *[
        "import",
        "publish",
        "rollback",
        "release",
        "serve",
        "config",
        "token",
        "lookup",
        "hash",
        "match",
        "status",
        "watch",
        "audit",
    ],
    *["withdraw", "remove", "disable", "enable", "reinstate"],
]
HEX = "c2924c5532bddfc8"
MD5 = "9e107d9d372bb6826bd81d3542a419d6"


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    path = bracketed(tmp_path_factory.mktemp("image"), "scene.png")
    ((_, scene),) = generated(1, seed=11)
    scene.save(path)
    return path


@pytest.fixture(scope="module")
def hashes(image) -> dict[str, str]:
    with Image.open(image) as opened:
        return {item.hash_type: item.hex for item in compute(opened, ("phash64", "pdq256"))}


def write_lists(folder: Path, hashes: dict[str, str]) -> tuple[Path, Path]:
    csv, plain = folder / "list.csv", folder / "list.txt"
    rows = "".join(f"{value},{name},scene,local,photograph;[/reviewed]\n" for name, value in hashes.items())
    csv.write_text(f"hash,hash_type,entry_id,source,labels\n{rows}{MD5},md5,case-2,ncmec,\n")
    plain.write_text(f"# a comment\n{HEX}\n\n{HEX.upper()[:-1]}9\n")
    return csv, plain


def look_up(where: list[object], hashes: dict[str, str], image: Path) -> None:
    table = ok_here("lookup", image, HEX, "0" * 16, MD5, "f" * 32, *where)
    assert "photograph;[/reviewed]" in table
    assert [line for line in table.splitlines() if HEX in line and "no match" not in line]
    assert table.count("no match") == 1
    assert "not searched: this phash64 hash says too little" in table
    answers = [json.loads(line) for line in ok_here("lookup", "--json", image, HEX, "0" * 16, *where).splitlines()]
    assert [(a["query"], a["hash_type"]) for a in answers] == [
        (str(image), "phash64"),
        (HEX, "phash64"),
        ("0" * 16, "phash64"),
        (str(image), "pdq256"),
    ]
    of_image, of_hex, flat, of_pdq = answers
    expected = {"distance": 0, "bank": "reviewed", "entry_id": "scene", "source": "local"}
    assert of_image["matches"] == of_pdq["matches"] == [{**expected, "labels": ["photograph", "[/reviewed]"]}]
    assert (of_image["hash"], of_pdq["hash"]) == (hashes["phash64"], hashes["pdq256"])
    assert [(match["entry_id"], match["distance"]) for match in of_hex["matches"]] == [(HEX, 0), (HEX[:-1] + "9", 1)]
    assert of_hex["generation"] == 2
    assert (flat["matches"], "too little" in flat["unsearchable"]) == ([], True)
    (cut,) = map(json.loads, ok_here("lookup", "--json", "--max-matches", 1, "--radius", 1, HEX, *where).splitlines())
    assert (len(cut["matches"]), cut["truncated"]) == (1, True)


def test_a_session_through_a_server(tmp_path, hashes, image):
    """Do what an operator does, from no bank to a roll back."""
    csv, plain = write_lists(tmp_path, hashes)
    with serving(tmp_path / "server", tmp_path / "data") as running, connected(running.address) as stubs:
        where = ["--target", running.address]

        def serves(generation: int) -> None:
            eventually(lambda: stubs.status().worker.generation == generation)

        made = ok_here("bank", "create", "reviewed", "--radius", "phash64=6", "--label", "people", *where)
        assert made == "created bank reviewed\n"
        assert ok_here("import", "reviewed", csv, *where) == f"{csv}: 2 added, 0 updated, 0 removed, 0 unchanged\n"
        assert ok_here("import", "reviewed", csv, *where) == f"{csv}: 0 added, 0 updated, 0 removed, 2 unchanged\n"
        assert ok_here("publish", *where).startswith("published generation 1: 2 entries, sequence 3, ")
        imported = ok_here("import", "reviewed", plain, "--hash-type", "phash64", *where)
        assert imported == f"{plain}: 2 added, 0 updated, 0 removed, 0 unchanged\n"
        listed = ok_here("bank", "list", *where)
        assert "phash64=6 dhash64=8" in listed
        assert [line.split()[:3] for line in listed.splitlines() if "reviewed" in line] == [
            ["reviewed", "4", "enabled"]
        ]
        assert "sequence 5, 2 after the last build" in ok_here("status", *where)
        assert ok_here("publish", *where).startswith("published generation 2: 4 entries, sequence 5, ")
        serves(2)
        look_up(where, hashes, image)
        told = ok_here("status", *where)
        assert "sequence 5, 0 after the last build" in told
        assert "2 (current)" in told
        status = json.loads(ok_here("status", "--json", *where))
        assert (status["sequence"], status["current"]["number"], status["worker"]["reload_error"]) == ("5", "2", "")
        assert ok_here("rollback", *where).startswith("rolled back to generation 1: 2 entries")
        serves(1)
        assert "1 (pinned)" in ok_here("status", *where)
        assert "generation 1 is pinned by a roll back; release it first" in failed_here("publish", *where)
        assert "there is no generation before 1" in failed_here("rollback", *where)
        assert "there is no generation 7; there are: 2, 1" in failed_here("rollback", 7, *where)
        assert ok_here("release", *where).startswith("released; serving generation 2: 4 entries, sequence 5, ")
        serves(2)
        assert ok_here("rollback", 2, *where).startswith("rolled back to generation 2: 4 entries")
        assert "2 (pinned)" in ok_here("status", *where)


def test_a_session_on_a_data_directory(tmp_path, hashes, image):
    csv, _ = write_lists(tmp_path, hashes)
    where = ["--data", bracketed(tmp_path, "data")]
    ok("bank", "create", "reviewed", *where)
    assert "2 added" in ok("import", "reviewed", csv, *where)
    assert "generation 1" in ok("publish", *where)
    assert "photograph;[/reviewed]" in ok("lookup", image, *where)
    (worker,) = json.loads(ok("status", "--json", *where))["worker"]["generation"]
    assert worker == "1"


def test_hashing_files(image, hashes, tmp_path):
    table = ok_here("hash", image)
    assert all(value in table for value in hashes.values())
    assert str(image) in table
    (told,) = map(json.loads, ok_here("hash", "--json", "--hash-type", "phash64", image).splitlines())
    assert (told["hash"], told["file"], told["quality"]) == (hashes["phash64"], str(image), None)
    not_an_image = bracketed(tmp_path, "text.png")
    not_an_image.write_text("text")
    done = run_here("hash", "--json", not_an_image, image)
    assert (done.returncode, done.stdout.count("\n"), done.stderr.count("\n")) == (1, 2, 1)
    assert str(not_an_image) in done.stderr


@pytest.fixture(scope="module")
def where(tmp_path_factory) -> list[object]:
    """A published data directory, as options."""
    data = tmp_path_factory.mktemp("where") / "data"
    ok_here("bank", "create", "bank", "--data", data)
    ok_here("publish", "--data", data)
    return ["--data", data]


BAD_LISTS = {
    "unknown type as an option": (f"{HEX}\n", ["--hash-type", "phash"], "--hash-type: 'phash' is not a hash type"),
    "no type": (f"{HEX}\n", [], "hash_type: a file of plain hashes does not tell their type"),
    "binary": (b"\x89PNG\xff\xfe", ["--hash-type", "phash64"], "[/b]list.csv: no known list: "),
    "strict": (
        f"hash\n{HEX[1:]}\n",
        ["--hash-type", "phash64", "--strict"],
        "b]list.csv, line 2: hash: 15 characters",
    ),
}


@pytest.mark.parametrize(("content", "options", "told"), BAD_LISTS.values(), ids=BAD_LISTS)
def test_a_bad_list_is_refused_whole(tmp_path, where, content, options, told):
    path = bracketed(tmp_path, "list.csv")
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert told in failed_here("import", "bank", path, *options, *where)


BAD_LINES = {
    "short hash": (HEX[1:], "phash64", "hash: 15 characters; a phash64 hash has 16"),
    "wrong type": (HEX, "pdq256", "hash: 16 characters; a pdq256 hash has 64"),
    "no hash": ("x" * 16, "phash64", "hash: not hexadecimal"),
}


@pytest.mark.parametrize(("value", "name", "told"), BAD_LINES.values(), ids=BAD_LINES)
def test_a_bad_line_is_told_and_the_others_are_imported(tmp_path, where, value, name, told):
    path = bracketed(tmp_path, "list.csv")
    path.write_text(f"hash,hash_type,entry_id\n{HEX},phash64,{tmp_path.name}\n{value},{name},bad\n")
    done = run_here("import", "bank", path, *where)
    assert (done.returncode, done.stdout) == (1, f"{path}: 1 added, 0 updated, 0 removed, 0 unchanged, 1 rejected\n")
    assert done.stderr.startswith(f"rejected: {path.name}, line 3: {told}")
    assert done.stderr.count("\n") == 1


BAD_CALLS = {
    "unknown bank to import into": (["import", "nobody", "LIST"], "there is no bank 'nobody'"),
    "a folder as list": (["import", "bank", "/"], "not a file; a folder of pages holds nothing but files"),
    "bank that exists": (["bank", "create", "bank"], "there is a bank 'bank' already"),
    "radius of no type": (["bank", "create", "b", "--radius", "phash=3"], "'phash=3'; write TYPE=R"),
    "radius too large": (["bank", "create", "b", "--radius", "phash64=65"], "65 is out of range for phash64"),
    "radius of 20 digits": (["bank", "create", "b", "--radius", f"pdq256={'9' * 20}"], "out of range for pdq256"),
    "unknown bank to search": (["lookup", HEX, "--bank", "nobody"], "there is no bank 'nobody'"),
    "neither file nor hash": (["lookup", "abc"], "'abc' is neither a file nor a hash of 16, 32, 40 or 64 digits"),
    "a hash of another type": (["lookup", HEX, "--hash-type", "md5"], "16 characters; a md5 hash has 32"),
    "negative lookup radius": (["lookup", HEX, "--radius", "-1"], "radius"),
    "no image": (["lookup", "LIST"], "list.csv"),
    "no generation before": (["rollback"], "there is no generation before 1"),
}


@pytest.mark.parametrize(("arguments", "told"), BAD_CALLS.values(), ids=BAD_CALLS)
def test_a_bad_call_is_refused_in_one_line(tmp_path, where, arguments, told):
    path = tmp_path / "list.csv"
    path.write_text(f"hash,hash_type\n{HEX},phash64\n")
    assert told in failed_here(*[str(path) if word == "LIST" else word for word in arguments], *where)


USAGE = {
    "no command": [],
    "unknown option": ["publish", "--nothing"],
    "negative generation": ["rollback", "--", "-1"],
    "generation beyond 64 bits": ["rollback", str(2**64)],
    "both --data and --target": ["status", "--data", "x", "--target", "127.0.0.1:1"],
    "a setting without a value": ["serve", "--set", "publish.auto"],
}


@pytest.mark.parametrize("arguments", USAGE.values(), ids=USAGE)
def test_wrong_usage_has_status_2(arguments):
    done = run_here(*arguments)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "Usage: nearhash" in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("foreign", ["bank", "create", "b"]),
        ("foreign", ["serve", "--listen", "127.0.0.1:0"]),
        ("wrong version", ["serve", "--listen", "127.0.0.1:0"]),
        ("damaged", ["status"]),
        ("a file", ["bank", "create", "b"]),
        ("a file", ["publish"]),
    ],
)
def test_what_is_no_data_directory_is_refused_and_left_alone(tmp_path, where, arguments, kind):
    path = tmp_path / "data"
    path.mkdir()
    path.joinpath("FORMAT").write_bytes((where[1] / "FORMAT").read_bytes())
    told = {"foreign": "is not a nearhash data directory", "wrong version": "is of version 9", "damaged": "is damaged"}
    if kind == "foreign":
        path.joinpath("FORMAT").rename(path / "letter.txt")
    elif kind == "wrong version":
        content = json.loads(path.joinpath("FORMAT").read_text())
        path.joinpath("FORMAT").write_text(json.dumps({**content, "version": 9}))
    elif kind == "damaged":
        content = path.joinpath("FORMAT").read_text()
        path.joinpath("FORMAT").write_text(content.replace('xxh3_64": "', 'xxh3_64": "0'))
    else:
        shutil.rmtree(path)
        path.write_text("a file")
    before = sorted(tmp_path.rglob("*"))
    # A server sets up the process that it runs in.
    refusal = (failed if "serve" in arguments else failed_here)(*arguments, "--data", path)
    assert told.get(kind, str(path)) in refusal
    assert sorted(tmp_path.rglob("*")) == before


def test_only_creating_a_bank_makes_a_data_directory(tmp_path):
    for arguments in (["status"], ["publish"]):
        assert "creating a bank makes one" in failed_here(*arguments, "--data", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_server_that_is_not_there_is_said_to_be_unavailable():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        error = failed("publish", "--target", f"127.0.0.1:{bound.getsockname()[1]}")
    assert "Connection refused" in error


def test_help_shows_examples():
    # In this process: to start the command for each takes a minute.
    runner = CliRunner(env={"NO_COLOR": "1", "COLUMNS": "200"})
    told = {name: runner.invoke(app, [*name.split(), "--help"], prog_name="nearhash").output for name in COMMANDS}
    lacking = [name for name, text in told.items() if f"Example: nearhash {name} " not in text]
    assert lacking == list(GROUPS)


def test_help_lists_every_command():
    listed = ok("--help")
    assert all(f" {name.split()[0]} " in listed for name in COMMANDS)


def test_the_seed_of_the_image_gives_a_searchable_hash(hashes):
    ones = np.array([bin(int(value, 16)).count("1") / (4 * len(value)) for value in hashes.values()])
    assert ((ones > 0.25) & (ones < 0.75)).all()
