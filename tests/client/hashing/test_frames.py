import io
import struct
import zlib

import pytest
from PIL import Image

from nearhash_client import InvalidRequest
from nearhash_client.hashing import Frame, ImageError, ImageTooLarge, ImageTooSlow, Limits, TruncatedImage, compute

from . import photographs

COUNT = 7


def pictures() -> list[Image.Image]:
    """Return different pictures of one size."""
    with Image.open(photographs.FOLDER / "astronaut.png") as image:
        return [image.crop((30 * i, 20 * i, 30 * i + 160, 20 * i + 120)).convert("RGB") for i in range(COUNT)]


def animation(file_format: str, frames: list[Image.Image] | None = None) -> bytes:
    first, *others = frames or pictures()
    file = io.BytesIO()
    options = {"lossless": True} if file_format == "WEBP" else {}
    first.save(file, file_format, save_all=True, append_images=others, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("choice", "numbers"),
    [
        ("first", [0]),
        ("all", list(range(COUNT))),
        ("every:1", list(range(COUNT))),
        ("every:3", [0, 3, 6]),
        ("every:100", [0]),
        ("spread:1", [0]),
        ("spread:2", [0, 6]),
        ("spread:4", [0, 2, 4, 6]),
        ("spread:7", list(range(COUNT))),
        ("spread:99", list(range(COUNT))),
    ],
)
def test_the_frames_chosen_are_hashed(choice, numbers):
    found = compute(animation("PNG"), ["phash64", "pdq256"], frames=choice)
    expected = [compute(picture) for picture in pictures()]
    assert [item.frame.number for item in found if item.hash_type == "phash64"] == numbers
    assert [item for item in found if item.hash_type == "phash64"] == [expected[number][0] for number in numbers]
    assert [item for item in found if item.hash_type == "pdq256"] == [expected[number][1] for number in numbers]


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animations_of_every_format_have_their_frames(file_format):
    found = compute(animation(file_format), ["phash64"], frames="every:3")
    for item in found:
        (own,) = compute(pictures()[item.frame.number], ["phash64"])
        assert (int.from_bytes(item.value) ^ int.from_bytes(own.value)).bit_count() <= 4
    assert len(found) == 3


def test_a_picture_that_does_not_move_has_one_frame():
    path = photographs.FOLDER / "chelsea.png"
    for choice in ("all", "every:2", "spread:5"):
        assert compute(path, frames=choice) == compute(path)


def test_a_hash_tells_what_of_the_file_it_is_of():
    frames = [item.frame for item in compute(animation("GIF"), ["phash64", "md5"], frames="spread:2")]
    assert frames == [Frame(0, 160, 120), Frame(6, 160, 120), None]


@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
def test_a_hash_tells_from_which_orientation_the_image_was_turned(file_format):
    stored = pictures()[0].transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    stored.save(file, file_format, exif=exif)
    (phash,) = compute(file.getvalue(), ["phash64"])
    assert phash.frame == Frame(0, 160, 120, orientation=6)


def test_an_orientation_behind_the_pixels_counts_and_is_told():
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 3
    pictures()[0].save(file, "PNG")
    data, tiff = file.getvalue(), exif.tobytes().removeprefix(b"Exif\x00\x00")
    chunk = struct.pack(">I", len(tiff)) + b"eXIf" + tiff + struct.pack(">I", zlib.crc32(b"eXIf" + tiff))
    (phash,) = compute(data[:-12] + chunk + data[-12:], ["phash64"])
    assert phash.frame.orientation == 3
    assert phash == compute(pictures()[0].transpose(Image.Transpose.ROTATE_180), ["phash64"])[0]


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    pictures()[0].save(file, "PNG", exif=exif)
    (phash,) = compute(file.getvalue(), ["phash64"])
    assert phash.frame.orientation == 1


@pytest.mark.parametrize(
    "choice", ["", "last", "every", "every:", "every:0", "every:-1", "spread:x", "all:3", "first:1"]
)
def test_a_choice_that_does_not_exist_is_refused(choice):
    with pytest.raises(InvalidRequest, match=f"^frames: found '{choice}'; it is first, all, every:N or spread:N"):
        compute("no-such-file.gif", frames=choice)


def test_the_frame_limit_is_inclusive_and_says_how_to_keep_it():
    assert len(compute(animation("GIF"), ["phash64"], frames="all", limits=Limits(max_frames=COUNT))) == COUNT
    with pytest.raises(ImageTooLarge, match=r"7 frames to hash; at most max_frames = 6 are. Choose fewer: spread:6$"):
        compute(animation("GIF"), ["phash64"], frames="all", limits=Limits(max_frames=COUNT - 1))
    # Frames that are not chosen do not count.
    assert len(compute(animation("GIF"), ["phash64"], frames="every:3", limits=Limits(max_frames=3))) == 3


def test_the_time_is_compared_between_frames():
    many = [picture for picture in pictures() for _ in range(20)]
    with pytest.raises(ImageTooSlow, match=r"^<bytes>: not hashed within max_time_s = 0.02$"):
        compute(animation("PNG", many), ["phash64", "pdq256"], frames="all", limits=Limits(max_time_s=0.02))


def test_every_frame_has_its_pixels_limited():
    large = Image.new("RGB", (400, 300))
    with pytest.raises(ImageTooLarge, match="400 x 300 pixels; at most max_pixels = 20000 are decoded"):
        compute(animation("TIFF", [pictures()[0], large]), frames="all", limits=Limits(max_pixels=20_000))


def test_a_damaged_frame_is_named_and_those_before_are_not_given_out():
    data = animation("GIF")
    assert compute(data[: len(data) // 2])
    with pytest.raises(TruncatedImage, match=r"^<bytes>: "):
        compute(data[: len(data) // 2], frames="all")


def test_an_open_image_is_hashed_as_it_stands():
    with Image.open(io.BytesIO(animation("GIF"))) as image:
        image.seek(4)
        (phash,) = compute(image, ["phash64"])
        assert phash.frame.number == 4
        with pytest.raises(ImageError, match="an open image is hashed as it stands; pass the path, the bytes or the"):
            compute(image, frames="all")
        assert image.tell() == 4
