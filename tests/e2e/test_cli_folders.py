"""Hashing and matching folders, as an operator does."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from nearhash_client.hashing import FORMS, compute

from ..demo.photographs import generated
from ..service.guarded import guarding, token_of
from .commands import failed_here, ok, ok_here, run, run_here


@pytest.fixture
def folder(tmp_path) -> Path:
    """Pictures, one below another folder, a text that is none, and a hidden file."""
    made = tmp_path / "pictures"
    (made / "more").mkdir(parents=True)
    for i, (_, scene) in enumerate(generated(4, seed=21)):
        scene.resize((200, 150)).save(made / ("more" if i == 3 else ".") / f"{i}.png")
    (made / "text.txt").write_text("text")
    (made / ".hidden.png").write_text("hidden")
    return made


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_folder_is_hashed_once_and_what_changed_again(folder, tmp_path):
    out = tmp_path / "hashes.jsonl"
    done = run("hash", folder, "--output", out, "--processes", 2, "--forms", "--hash-type", "pdq256")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"{out}: 4 files added, 0 there already, 1 failed"
    assert "text.txt: in no image format" in done.stderr
    found = lines(out)
    assert [Path(record["file"]).name for record in found] == ["0.png", "1.png", "2.png", "3.png"]
    for record in found:
        expected = compute(record["file"], ["pdq256"], forms=FORMS)
        assert [(item["hash"], item["form"], item["hasher"]) for item in record["hashes"]] == [
            (item.hex, item.form, item.hasher) for item in expected
        ]
    # Killed in the middle of a line; one file changed meanwhile, and the text is gone.
    whole = out.read_bytes()
    out.write_bytes(whole[: whole.rindex(b'"mtime_ns"')])
    (folder / "text.txt").unlink()
    os.utime(folder / "1.png", ns=(0, 10**18))
    again = run("hash", folder, "--output", out, "--hash-type", "pdq256")
    assert (again.returncode, again.stderr) == (0, f"{out}: 2 files added, 2 there already, 0 failed\n")
    assert [Path(record["file"]).name for record in lines(out)] == ["0.png", "1.png", "2.png", "1.png", "3.png"]


def test_an_output_of_something_else_is_left_alone(folder, tmp_path):
    out = tmp_path / "letter.txt"
    out.write_text("Dear all\n")
    done = run("hash", folder, "--output", out)
    assert (done.returncode, "line 1: not of this command; name another file" in done.stderr) == (1, True)
    assert out.read_text() == "Dear all\n"


def test_hashing_tells_how_a_picture_was_turned(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(folder / "0.png") as image:
        image.save(folder / "turned.png", exif=exif)
    assert "turned upright from EXIF orientation 6" in ok("hash", folder / "turned.png", "--hash-type", "phash64")


@pytest.fixture
def where(folder, tmp_path) -> list[object]:
    """A published data directory that lists one of the pictures, as options."""
    where = ["--data", tmp_path / "data"]
    (pdq,) = compute(folder / "1.png", ["pdq256"])
    listed = tmp_path / "list.csv"
    listed.write_text(f'hash,hash_type,entry_id,hasher\n{pdq.hex},pdq256,case-1,"{pdq.hasher}"\n')
    for arguments in (["bank", "create", "reviewed"], ["import", "reviewed", listed], ["publish"]):
        ok_here(*arguments, *where)
    return where


def test_the_files_of_a_folder_are_looked_up_and_the_others_told(folder, where):
    done = run_here("lookup", folder, "--json", "--hash-type", "pdq256", *where)
    assert (done.returncode, done.stderr.count("\n"), "text.txt: in no image format" in done.stderr) == (1, 1, True)
    found = {Path(each["query"]).name: each["matches"] for each in map(json.loads, done.stdout.splitlines())}
    (pdq,) = compute(folder / "1.png", ["pdq256"])
    assert found["1.png"][0]["labels"] == [f"hasher={pdq.hasher}"]
    assert {name: [match["entry_id"] for match in matches] for name, matches in found.items()} == {
        "0.png": [],
        "1.png": ["case-1"],
        "2.png": [],
        "3.png": [],
    }


def test_a_folder_is_looked_up_once_and_what_failed_again(folder, where, tmp_path):
    out = tmp_path / "answers.jsonl"
    arguments = ["lookup", folder, "--output", out, "--processes", 2, *where]
    done = run_here(*arguments)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"{out}: 4 files added, 0 there already, 1 failed"
    for record in lines(out):
        asked = [(item["hash_type"], item["hash"]) for item in record["hashes"]]
        assert asked == [(item.hash_type, item.hex) for item in compute(record["file"])]
        matches = [(match["entry_id"], match["distance"]) for item in record["hashes"] for match in item["matches"]]
        assert matches == ([("case-1", 0)] if record["file"].endswith("1.png") else [])
        assert {item["generation"] for item in record["hashes"]} == {1}
    with Image.open(folder / "1.png") as image:
        image.save(folder / "text.txt", "PNG")
    again = run_here(*arguments)
    assert (again.returncode, again.stderr) == (0, f"{out}: 1 file added, 4 there already, 0 failed\n")
    assert lines(out)[-1]["hashes"][1]["matches"][0]["entry_id"] == "case-1"


@pytest.mark.parametrize("name", ["lookup", "match"])
def test_what_every_file_would_meet_ends_a_command_at_once(name, folder, where, tmp_path):
    (folder / "text.txt").unlink()
    out = tmp_path / "answers.jsonl"
    unknown = [name, folder, "--bank", "nobody", *where]
    assert failed_here(*unknown) == "error: there is no bank 'nobody'\n"
    told = f"{out}: 0 files added, 0 there already, 0 failed; stopped, run it again to go on\n"
    done = run_here(*unknown, "--output", out)
    assert (done.returncode, done.stderr) == (1, f"{told}error: there is no bank 'nobody'\n")
    with guarding(tmp_path, where[1]) as (_, address, _):
        done = run_here(name, folder, "--output", out, "--target", address)
        assert (done.returncode, done.stderr.startswith(f"{told}error: ")) == (1, True)
        assert done.stderr.count("\n") == 2
    assert out.read_text() == ""


@pytest.mark.long
def test_a_server_that_is_away_ends_a_command_and_what_is_done_stays(folder, where, tmp_path):
    out = tmp_path / "verdicts.jsonl"
    (tmp_path / "token").write_text(token_of("reader"))
    arguments = ["match", "--output", out, "--target", f"unix:{tmp_path}/guarded", "--token-file", tmp_path / "token"]
    with guarding(tmp_path, where[1]):
        done = run_here(*arguments, folder / "1.png", "--processes", 1)
        assert (done.returncode, done.stderr) == (0, f"{out}: 1 file added, 0 there already, 0 failed\n")
    done = run_here(*arguments, folder, "--processes", 1)
    told, error = done.stderr.splitlines()
    assert told == f"{out}: 0 files added, 1 there already, 0 failed; stopped, run it again to go on"
    assert (done.returncode, error.startswith("error: ")) == (1, True)
    assert [Path(record["file"]).name for record in lines(out)] == ["1.png"]


def test_an_output_is_for_files(folder, where, tmp_path):
    done = run_here("lookup", folder, "c2924c5532bddfc8", "--output", tmp_path / "answers.jsonl", *where)
    assert "'c2924c5532bddfc8' is no file; --output is for files and folders" in done.stderr
    assert not (tmp_path / "answers.jsonl").exists()


def test_verdicts_on_files_and_folders(folder, where, tmp_path):
    (folder / "text.txt").unlink()
    with Image.open(folder / "1.png") as image:
        image.transpose(Image.Transpose.ROTATE_90).save(folder / "1-turned.png")
    shown = ok_here("match", folder / "1-turned.png", folder / "2.png", *where)
    rows = [line.split() for line in shown.splitlines() if ".png" in line]
    assert rows[0][1:] == ["block", "reviewed", "case-1", "local", "pdq256", "rotate270", "0"]
    assert rows[1][1:] == ["no", "match"]
    (told,) = map(json.loads, ok_here("match", "--json", folder / "1.png", *where).splitlines())
    assert (told["action"], told["banks"][0]["reasons"][0]["distance"]) == ("block", 0)
    out = tmp_path / "verdicts.jsonl"
    for added, there in ((5, 0), (0, 5)):
        done = run_here("match", folder, "--output", out, *where)
        assert (done.returncode, done.stderr) == (0, f"{out}: {added} files added, {there} there already, 0 failed\n")
    actions = {Path(record["file"]).name: record["action"] for record in lines(out)}
    assert actions == {"0.png": None, "1.png": "block", "1-turned.png": "block", "2.png": None, "3.png": None}
