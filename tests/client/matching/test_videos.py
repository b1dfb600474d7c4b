import asyncio
import json

import pytest

from nearhash_client import AsyncClient
from nearhash_client.hashing import HashingPool, Limits
from nearhash_client.matching import Action, Policy, VideoRule
from nearhash_client.matching.videos import match_video, match_video_async

from ..hashing import photographs
from ..hashing.test_letterbox import load
from ..hashing.test_video import SECONDS, encode, scenes


def other_scenes(count: int):
    """Return pictures that no list holds."""
    return [load("hubble_deep_field.jpg").crop((60 * i, 50 * i, 60 * i + 320, 50 * i + 240)) for i in range(count)]


def shares(verdict) -> list[tuple[str, str, int, float, int, float]]:
    return [
        (e.entry_id, str(e.action), e.query_frames, e.query_share, e.entry_frames, e.entry_share)
        for e in verdict.entries
    ]


def test_the_very_file_blocks_and_its_frames_are_not_looked_up(client, clip):
    verdict = match_video(clip, client=client, timeout_s=30)
    assert (verdict.action, verdict.entries, verdict.frames) == (Action.BLOCK, (), 0)
    assert verdict.file.banks[0].reasons[0].hash_type == "md5"


def test_a_copy_matches_all_frames_in_both_directions(client):
    verdict = match_video(encode(scenes(), "matroska", crf="35"), client=client, timeout_s=30)
    assert (verdict.action, verdict.file.action, verdict.frames, verdict.complete) == (
        Action.BLOCK,
        None,
        SECONDS,
        True,
    )
    assert shares(verdict) == [("clip", "block", 5, 1.0, 5, 1.0)]


def test_a_cut_of_a_listed_video_matches_with_all_of_its_own_frames(client):
    verdict = match_video(encode(scenes()[1:3], "matroska"), client=client, timeout_s=30)
    assert shares(verdict) == [("clip", "block", 2, 1.0, 2, 0.4)]
    strict = Policy(video=VideoRule(min_query_share=0.8, min_entry_share=0.5))
    assert match_video(encode(scenes()[1:3], "matroska"), client=client, policy=strict).action is Action.REVIEW


def test_a_video_that_contains_a_listed_one_is_reviewed(client):
    verdict = match_video(encode([*other_scenes(5), *scenes()]), client=client, timeout_s=30)
    assert shares(verdict) == [("clip", "review", 5, 0.5, 5, 1.0)]


def test_a_pool_answers_the_same(client):
    copy = encode(scenes(), "matroska", crf="35")
    with HashingPool(1) as pool:
        assert match_video(copy, client=client, pool=pool, timeout_s=60) == match_video(copy, client=client)


def test_a_frame_that_is_shown_again_counts_once_for_the_entry(client):
    verdict = match_video(encode([scenes()[0]] * 3 + [scenes()[4]]), client=client, timeout_s=30)
    assert shares(verdict) == [("clip", "block", 4, 1.0, 2, 0.4)]


def test_another_video_matches_nothing_and_says_what_was_left_out(client):
    verdict = match_video(encode(other_scenes(4)), client=client, limits=Limits(max_frames=2), timeout_s=30)
    assert (verdict.action, verdict.entries, verdict.stopped_by) == (None, (), "max_frames = 2")
    assert not verdict.complete


def test_what_is_no_video_is_a_failure_and_its_digests_are_looked_up(client):
    verdict = match_video(photographs.FOLDER / "chelsea.png", client=client, timeout_s=30)
    assert verdict.action is Action.BLOCK
    text = match_video(b"text", client=client, timeout_s=30)
    assert (text.action, [item.hash_type for item in text.failures]) == (None, ["pdq256"])
    assert json.loads(json.dumps(text.to_dict()))["complete"] is False


@pytest.mark.parametrize("upload", ["the file", "a copy", "no video", "too late"])
def test_an_event_loop_gets_the_same_verdict(client, target, clip, upload):
    source = {"the file": clip, "a copy": encode(scenes(), "matroska", crf="35"), "no video": b"text"}.get(upload, clip)
    options = {"timeout_s": 1e-9 if upload == "too late" else 30}

    async def match():
        async with AsyncClient(target) as opened:
            return await match_video_async(source, client=opened, **options)

    verdict = asyncio.run(match())
    expected = match_video(source, client=client, **options)
    if upload == "too late":
        assert (verdict.action, verdict.complete, expected.complete) == (None, False, False)
    else:
        assert verdict == expected
        assert verdict.action == (None if upload == "no video" else Action.BLOCK)
