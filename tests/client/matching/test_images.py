import asyncio
import io
import json
import socket

import pytest
from PIL import Image, ImageOps

from nearhash_client import AsyncClient, Client, InvalidRequest
from nearhash_client.hashing import HashingPool, Limits
from nearhash_client.matching import Action, Bands, Policy, match_image, match_image_async

from ..hashing import photographs

CAT = photographs.FOLDER / "chelsea.png"


def load(name: str) -> Image.Image:
    with Image.open(photographs.FOLDER / name) as image:
        return image.convert("RGB")


def as_jpeg(image: Image.Image, quality: int = 80) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def told(verdict) -> list[tuple[str, str]]:
    return [(bank.bank, str(bank.action)) for bank in verdict.banks]


def test_the_very_file_blocks_by_every_hash(client):
    verdict = match_image(CAT, client=client, timeout_s=20)
    assert (verdict.action, verdict.complete) == (Action.BLOCK, True)
    assert told(verdict) == [("pictures", "block"), ("strict", "block")]
    reasons = {(reason.hash_type, reason.form, reason.distance) for reason in verdict.banks[0].reasons}
    assert {("sha256", "original", 0), ("pdq256", "original", 0), ("phash64", "original", 0)} <= reasons
    first = verdict.banks[0].reasons[0]
    assert (first.action, first.entry_id, first.source, first.labels) == (Action.BLOCK, "chelsea", "local", ("cat",))


@pytest.mark.parametrize(
    "turn", [Image.Transpose.ROTATE_90, Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.TRANSVERSE]
)
def test_a_turned_copy_is_found_by_the_form_that_turns_it_back(client, turn):
    verdict = match_image(as_jpeg(load("coffee.png").transpose(turn)), client=client, timeout_s=20)
    assert told(verdict) == [("pictures", "block")]
    back = {
        Image.Transpose.ROTATE_90: "rotate270",
        Image.Transpose.FLIP_LEFT_RIGHT: "flip_horizontal",
        Image.Transpose.TRANSVERSE: "transverse",
    }[turn]
    assert {(reason.form, reason.entry_id) for reason in verdict.banks[0].reasons} == {(back, "coffee")}
    alone = match_image(
        as_jpeg(load("coffee.png").transpose(turn)), client=client, policy=Policy(forms=("original",)), timeout_s=20
    )
    assert alone.action is None


def test_a_copy_within_bars_is_found_without_them(client):
    barred = as_jpeg(ImageOps.expand(load("coffee.png"), (0, 90, 0, 90), fill="black"))
    verdict = match_image(barred, client=client, timeout_s=20)
    assert told(verdict) == [("pictures", "block")]
    assert all(reason.cropped for reason in verdict.banks[0].reasons)
    assert match_image(barred, client=client, policy=Policy(letterbox="keep"), timeout_s=20).action is None


def test_bands_of_a_bank_decide_over_those_of_the_policy_and_the_defaults(client):
    copy = as_jpeg(load("chelsea.png").resize((180, 120)), 30)
    policy = Policy(
        perceptual=("pdq256",), bands={"pdq256": Bands(31, 31)}, bank_bands={"strict": {"pdq256": Bands(None, None)}}
    )
    verdict = match_image(copy, client=client, policy=policy, timeout_s=20)
    assert told(verdict) == [("pictures", "block"), ("strict", "observe")]
    assert 0 < verdict.banks[0].reasons[0].distance <= 31
    stricter = Policy(perceptual=("pdq256",), bands={"pdq256": Bands(0, 31)})
    assert match_image(copy, client=client, policy=stricter, timeout_s=20).action is Action.REVIEW


def test_a_digest_that_an_allowlist_knows_lets_the_file_pass_and_a_copy_not(client):
    rocket = photographs.FOLDER / "rocket.jpg"
    verdict = match_image(rocket, client=client, timeout_s=20)
    assert (verdict.action, verdict.banks) == (None, ())
    assert [(item.hash_type, item.bank, item.entry_id) for item in verdict.allowed] == [("md5", "known", "launch")]
    assert match_image(as_jpeg(load("rocket.jpg")), client=client, timeout_s=20).action is Action.BLOCK


def test_another_picture_matches_nothing(client):
    verdict = match_image(photographs.FOLDER / "astronaut.png", client=client, timeout_s=20)
    assert (verdict.action, verdict.banks, verdict.failures, verdict.truncated) == (None, (), (), ())


def test_a_flat_picture_is_said_not_to_be_searched(client):
    verdict = match_image(as_jpeg(Image.new("RGB", (200, 200), "red")), client=client, timeout_s=20)
    assert (verdict.action, verdict.complete) == (None, True)
    assert {item.hash_type for item in verdict.not_searched} == {"pdq256", "phash64"}
    reasons = {item.hash_type: item.reason for item in verdict.not_searched}
    assert reasons["pdq256"] == "quality 0: the picture tells too little"
    assert "too little about its image" in reasons["phash64"]


def test_a_damaged_picture_is_still_looked_up_by_its_digests(client):
    verdict = match_image(CAT.read_bytes()[:5000], client=client, timeout_s=20)
    assert (verdict.action, verdict.complete) == (None, False)
    assert [item.hash_type for item in verdict.failures] == ["pdq256", "phash64"]
    assert verdict.failures[0].kind == "TruncatedImage"
    assert verdict.failures[0].error.startswith("<bytes>: truncated or damaged")
    exact = match_image(CAT, client=client, limits=Limits(max_pixels=10), timeout_s=20)
    assert (exact.action, [item.hash_type for item in exact.failures]) == (Action.BLOCK, ["pdq256", "phash64"])


def test_an_empty_file_is_a_failure_of_all(client):
    verdict = match_image(b"", client=client, timeout_s=20)
    assert [item.hash_type for item in verdict.failures] == ["md5", "sha1", "sha256", "pdq256", "phash64"]


def test_a_server_that_is_away_is_a_failure_of_all_within_the_time():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with Client(f"127.0.0.1:{bound.getsockname()[1]}") as client:
            verdict = match_image(CAT, client=client, timeout_s=1)
    assert verdict.action is None
    assert {item.hash_type for item in verdict.failures} == {"md5", "sha1", "sha256", "pdq256", "phash64"}


def test_an_unknown_bank_is_told(client):
    verdict = match_image(CAT, client=client, banks=["none"], timeout_s=20)
    assert {(item.kind, item.error) for item in verdict.failures} == {("NotFound", "there is no bank 'none'")}


def test_asyncio_and_a_pool_answer_the_same(target, client):
    async def run():
        async with AsyncClient(target) as opened:
            return await match_image_async(CAT, client=opened, timeout_s=20)

    expected = match_image(CAT, client=client, timeout_s=20)
    assert asyncio.run(run()) == expected
    with HashingPool(1) as pool:
        assert match_image(CAT, client=client, pool=pool, timeout_s=60) == expected


def test_a_verdict_is_json_without_hashes(client):
    verdict = match_image(CAT, client=client, timeout_s=20)
    written = json.dumps(verdict.to_dict())
    read = json.loads(written)
    assert (read["action"], read["complete"], read["banks"][0]["reasons"][0]["entry_id"]) == ("block", True, "chelsea")
    for item in ("sha256", "pdq256"):
        assert item in written
    assert "value" not in written


def test_a_policy_that_names_no_hash_type_is_refused(client):
    with pytest.raises(InvalidRequest, match="found 'phash'"):
        match_image(CAT, client=client, policy=Policy(perceptual=("phash",)))
    with pytest.raises(FileNotFoundError):
        match_image("no-such-file", client=client)
