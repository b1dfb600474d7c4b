import io
import struct
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from nearhash_client import InvalidRequest
from nearhash_client.hashing import Frame, ImageError, ImageTooLarge, Limits, NotAnImage, TruncatedImage, compute
from nearhash_client.hashing.video import compute_video

from . import photographs
from .bits import distance

RATE = 6
SECONDS = 5


def scenes() -> list[Image.Image]:
    """Return a picture for each second."""
    with Image.open(photographs.FOLDER / "astronaut.png") as image:
        return [image.crop((40 * i, 30 * i, 40 * i + 320, 30 * i + 240)).convert("RGB") for i in range(SECONDS)]


def encode(pictures: list[Image.Image], container: str = "mp4", codec: str = "libx264", **options: str) -> bytes:
    """Show each picture for a second."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = pictures[0].width, pictures[0].height, "yuv420p"
        for picture in pictures:
            for _ in range(RATE):
                output.mux(stream.encode(av.VideoFrame.from_image(picture)))
        output.mux(stream.encode())
    return file.getvalue()


@pytest.fixture(scope="module")
def video() -> bytes:
    return encode(scenes())


def test_the_first_frame_of_each_second_is_hashed(video):
    found = compute_video(video)
    assert (found.frame_count, found.stopped_by) == (SECONDS, "")
    assert [item.frame for item in found.hashes] == [
        Frame(RATE * second, 320, 240, time_s=float(second)) for second in range(SECONDS)
    ]
    for item, scene in zip(found.hashes, scenes(), strict=True):
        assert distance(item, compute(scene, ["pdq256"])[0]) <= 10
        assert item.quality >= 50


@pytest.mark.parametrize(
    ("container", "codec"), [("matroska", "libx264"), ("webm", "libvpx"), ("avi", "mpeg4"), ("mpegts", "mpeg2video")]
)
def test_containers_and_codecs_make_little_difference(video, container, codec):
    found = compute_video(mpegts(scenes()) if container == "mpegts" else encode(scenes(), container, codec))
    assert len(found.hashes) == SECONDS
    for ours, other in zip(found.hashes, compute_video(video).hashes, strict=True):
        assert distance(ours, other) <= 20


def mpegts(pictures: list[Image.Image]) -> bytes:
    """Encode as MPEG-2, which knows few frame rates."""
    file = io.BytesIO()
    with av.open(file, "w", format="mpegts") as output:
        stream = output.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 320, 240, "yuv420p", 4_000_000
        for picture in pictures:
            for _ in range(25):
                output.mux(stream.encode(av.VideoFrame.from_image(picture)))
        output.mux(stream.encode())
    return file.getvalue()


# What a phone writes for how far a player is to turn the stored frames clockwise: a, b, 0, c, d, 0 of a matrix by which
# a point goes to (ax + cy, bx + dy), y downwards, as ISO/IEC 14496-12 has it.
TURNED = {90: (0, 1, 0, -1, 0, 0), 180: (-1, 0, 0, 0, -1, 0), 270: (0, -1, 0, 1, 0, 0)}


@pytest.mark.parametrize(("clockwise", "orientation"), [(0, 1), (90, 6), (180, 3), (270, 8)])
def test_a_video_is_hashed_as_a_player_turns_it(clockwise, orientation):
    stored = encode([scene.rotate(clockwise, expand=True) for scene in scenes()[:2]])
    if clockwise:
        # Of the first track; the movie's own matrix, which comes before, stays.
        at = stored.index(_matrix(1, 0, 0, 0, 1, 0), stored.index(b"tkhd"))
        stored = stored[:at] + _matrix(*TURNED[clockwise]) + stored[at + 24 :]
    for item, scene in zip(compute_video(stored).hashes, scenes(), strict=False):
        assert (item.frame.width, item.frame.height, item.frame.orientation) == (320, 240, orientation)
        assert distance(item, compute(scene, ["pdq256"])[0]) <= 10


def _matrix(*numbers: int) -> bytes:
    return struct.pack(">6i", *(number << 16 for number in numbers))


def test_keyframes_are_hashed_alone():
    data = encode(scenes(), g=str(2 * RATE), sc_threshold="0", keyint_min=str(2 * RATE))
    found = compute_video(data, sampling="keyframes")
    assert [item.frame.time_s for item in found.hashes] == [0.0, 2.0, 4.0]
    expected = {item.frame.time_s: item for item in compute_video(data).hashes}
    assert list(found.hashes) == [expected[time_s] for time_s in (0.0, 2.0, 4.0)]


def test_frames_that_tell_too_little_are_left_out_and_counted():
    black = Image.new("RGB", (320, 240))
    found = compute_video(encode([black, *scenes()[:2], black]))
    assert [item.frame.time_s for item in found.hashes] == [1.0, 2.0]
    assert found.frame_count == 4
    assert len(compute_video(encode([black, scenes()[0]]), min_quality=0).hashes) == 2


def test_the_frame_limit_cuts_and_says_so(video):
    found = compute_video(video, limits=Limits(max_frames=3))
    assert ([item.frame.time_s for item in found.hashes], found.stopped_by) == ([0.0, 1.0, 2.0], "max_frames = 3")
    assert compute_video(video, limits=Limits(max_frames=SECONDS)).stopped_by == ""


def test_the_time_limit_cuts_and_says_so(video):
    found = compute_video(video, limits=Limits(max_time_s=0))
    assert (found.hashes, found.stopped_by) == ((), "max_time_s = 0")


def test_the_pixel_limit_is_inclusive(video):
    assert compute_video(video, limits=Limits(max_pixels=320 * 240)).hashes
    with pytest.raises(ImageTooLarge, match="frames of 320 x 240 pixels; at most max_pixels = 76799 are hashed"):
        compute_video(video, limits=Limits(max_pixels=320 * 240 - 1))


def test_a_video_that_ends_early_is_hashed_as_far_as_it_goes():
    data = encode(scenes(), "matroska")
    found = compute_video(data[: int(len(data) * 0.7)])
    assert 1 <= len(found.hashes) < SECONDS
    whole = compute_video(data)
    assert found.hashes == whole.hashes[: len(found.hashes)]


def test_a_video_whose_index_is_missing_is_none(video):
    with pytest.raises((NotAnImage, TruncatedImage), match=r"^<bytes>: "):
        compute_video(video[: len(video) // 2])


@pytest.mark.parametrize("data", [b"no video at all", b"\x00" * 4096, b"GIF89a" + bytes(100)])
def test_what_is_no_video_is_told(data):
    with pytest.raises(NotAnImage, match=r"^<bytes>: no video in a container that is read; pass one of mov,mp4,"):
        compute_video(data)


@pytest.mark.parametrize("kind", ["hls", "concat", "sdp"])
def test_a_playlist_reads_no_other_file(tmp_path, kind):
    secret = tmp_path / "secret.ts"
    secret.write_bytes(mpegts(scenes()[:1]))
    playlist = {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{secret}\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile {secret}\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
    }[kind]
    path: Path = tmp_path / f"clip.{kind}"
    path.write_text(playlist)
    with pytest.raises(NotAnImage):
        compute_video(path)


def test_a_container_without_video_is_told():
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        stream = output.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 8000), dtype=np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        output.mux(stream.encode(sound))
        output.mux(stream.encode())
    with pytest.raises(NotAnImage, match="a container without video; pass one with"):
        compute_video(file.getvalue())


def test_digests_are_not_of_frames(video):
    with pytest.raises(
        ImageError, match=r"^<bytes>: digests are of a file's bytes, not of its frames; compute has them"
    ):
        compute_video(video, ["pdq256", "md5"])


def test_another_sampling_is_refused(video):
    with pytest.raises(InvalidRequest, match=r"^sampling: found 'all'; it is one of seconds, keyframes$"):
        compute_video(video, sampling="all")
