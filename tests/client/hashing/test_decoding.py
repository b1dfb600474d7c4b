import io
import struct
import time
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nearhash_client.hashing import ImageError, ImageTooLarge, Limits, NotAnImage, TruncatedImage, compute
from nearhash_client.hashing.decoding import FORMATS, to_rgb

from . import photographs

TYPES = ("phash64", "dhash64", "pdq256")
PHOTOGRAPH = photographs.FOLDER / "chelsea.png"
GREY = photographs.FOLDER / "camera.png"


def load(path=PHOTOGRAPH) -> Image.Image:
    with Image.open(path) as image:
        return image.copy()


def encoded(image: Image.Image, file_format: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_header(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


@pytest.mark.parametrize("file_format", FORMATS)
def test_every_format_is_read(file_format):
    options = {"lossless": True} if file_format == "WEBP" else {}
    (phash,) = compute(encoded(load(), file_format, **options), ("phash64",))
    (original,) = compute(PHOTOGRAPH, ("phash64",))
    assert (int.from_bytes(phash.value) ^ int.from_bytes(original.value)).bit_count() <= 4


# How pixels are stored for each EXIF orientation, from the image as it is seen.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize(("orientation", "transposition"), STORED.items())
def test_an_image_is_turned_upright_before_hashing(orientation, transposition):
    image = load()
    stored = image if transposition is None else image.transpose(transposition)
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert compute(encoded(stored, "PNG", exif=exif), TYPES) == compute(image, TYPES)


def test_unreadable_exif_data_turn_nothing():
    damaged = encoded(load(), "PNG", exif=b"Exif\x00\x00no tiff header")
    assert compute(damaged, TYPES) == compute(PHOTOGRAPH, TYPES)


def test_what_is_transparent_is_white():
    image = load()
    mask = Image.new("L", image.size, 0)
    mask.paste(255, (50, 50, 250, 250))
    on_white = Image.new("RGB", image.size, (255, 255, 255))
    on_white.paste(image, mask=mask)
    expected = compute(on_white, TYPES)
    transparent = image.copy()
    transparent.putalpha(mask)
    assert compute(encoded(transparent, "PNG"), TYPES) == expected
    assert compute(transparent, TYPES) == expected


def test_a_transparent_palette_entry_is_white():
    palette = load().quantize(16)
    index = palette.getpixel((0, 0))
    expected = np.array(palette.convert("RGB"))
    expected[np.asarray(palette) == index] = 255
    transparent = encoded(palette, "PNG", transparency=index)
    assert compute(transparent, TYPES) == compute(Image.fromarray(expected), TYPES)


def test_a_palette_image_is_hashed_by_its_colours():
    palette = load().quantize(64)
    assert compute(encoded(palette, "PNG"), TYPES) == compute(palette.convert("RGB"), TYPES)


def test_a_cmyk_image_looks_like_its_original():
    hashes = compute(encoded(load().convert("CMYK"), "JPEG", quality=95), TYPES)
    for ours, original in zip(hashes, compute(PHOTOGRAPH, TYPES), strict=True):
        assert (int.from_bytes(ours.value) ^ int.from_bytes(original.value)).bit_count() <= 4


def test_two_colours_are_black_and_white():
    two_tone = load(GREY).convert("1")
    assert compute(encoded(two_tone, "PNG"), TYPES) == compute(two_tone.convert("RGB"), TYPES)


@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_16_bit_grey_counts_by_its_high_byte(dtype):
    levels = np.asarray(load(GREY)).astype(np.uint16)
    deep = Image.fromarray((levels * 256 + 77).astype(dtype))
    assert compute(deep, TYPES) == compute(GREY, TYPES)
    assert compute(encoded(deep, "TIFF"), TYPES) == compute(GREY, TYPES)


@pytest.mark.parametrize(("dtype", "scale", "offset"), [(np.int32, 1000, -7), (np.float32, 0.25, 3.0)])
def test_levels_without_a_range_are_stretched(dtype, scale, offset):
    levels = np.asarray(load(GREY)).astype(int)
    stretched = np.interp(levels, (levels.min(), levels.max()), (0, 255)).astype(np.uint8)
    unusual = Image.fromarray((levels * scale + offset).astype(dtype))
    assert np.abs(np.asarray(to_rgb(unusual, "", Limits()))[..., 0].astype(int) - stretched).max() <= 1
    assert compute(unusual, ("phash64",)) == compute(Image.fromarray(stretched), ("phash64",))


def test_levels_that_are_no_numbers_are_dark():
    levels = np.asarray(load(GREY)).astype(np.float32)
    dark, no_number = levels.copy(), levels.copy()
    dark[:100], no_number[:50], no_number[50:100] = 0, np.nan, np.inf
    assert compute(Image.fromarray(no_number), TYPES) == compute(Image.fromarray(dark), TYPES)


def test_an_animation_is_hashed_by_its_first_frame():
    frames = [load().resize((128, 128)).quantize(64), load(GREY).resize((128, 128)).quantize(64)]
    animation = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert compute(animation, TYPES) == compute(encoded(frames[0], "GIF"), TYPES)
    assert compute(animation, TYPES) != compute(encoded(frames[1], "GIF"), TYPES)


def test_the_callers_image_stays_as_it_was():
    image = load().convert("RGBA")
    image.getexif()[0x0112] = 6
    before = image.copy()
    compute(image, TYPES)
    assert (image.mode, image.size, image.tobytes()) == (before.mode, before.size, before.tobytes())
    assert image.getexif()[0x0112] == 6


def test_a_mode_without_a_way_to_rgb_is_named():
    with pytest.raises(ImageError, match=r"^<image>: mode La cannot be hashed; convert the image to RGB$"):
        compute(Image.new("La", (16, 16)))


@pytest.mark.parametrize("size", [(0, 5), (5, 0)])
def test_an_image_without_pixels_has_no_hash(size):
    with pytest.raises(ImageError, match=f"^<image>: {size[0]} x {size[1]} pixels; pass an image that has some$"):
        compute(Image.new("RGB", size))


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (7, 3)])
def test_the_smallest_images_have_hashes(size):
    names = ("phash64", "dhash64", "ahash64", "whash64", "pdq256")
    assert [computed.hash_type for computed in compute(Image.new("RGB", size), names)] == list(names)


@pytest.mark.parametrize("data", [b"no image at all", b"\x00" * 1000, b"%!PS-Adobe-3.0 EPSF-3.0\n", b"<svg></svg>"])
def test_what_is_no_image_is_told_what_is_read(tmp_path, data):
    path = tmp_path / "upload.jpg"
    path.write_bytes(data)
    with pytest.raises(NotAnImage, match=r"upload\.jpg: in no image format that is read; pass a file in one of JPEG, "):
        compute(path)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_a_file_that_ends_early_is_truncated(file_format, share):
    data = encoded(load(), file_format)
    with pytest.raises(TruncatedImage, match=r"^<bytes>: truncated or damaged; pass the complete file"):
        compute(data[: int(len(data) * share)])


def test_a_lazily_opened_image_that_ends_early_is_named(tmp_path):
    path = tmp_path / "half.png"
    data = PHOTOGRAPH.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with Image.open(path) as image, pytest.raises(TruncatedImage, match=r"half\.png: truncated or damaged"):
        compute(image)


@pytest.mark.parametrize("side", [8193, 10_000, 60_000, 2**31 - 1])
def test_a_bomb_is_refused_by_its_header(side):
    bomb = png_header(side, side) + png_chunk(b"IDAT", zlib.compress(bytes(1000))) + png_chunk(b"IEND", b"")
    start = time.monotonic()
    with pytest.raises(ImageTooLarge, match=f"^<bytes>: {side} x {side} pixels; at most max_pixels = 67108864 are"):
        compute(bomb)
    assert time.monotonic() - start < 1


@pytest.mark.parametrize("side", [12_000, 65_535])
def test_a_bomb_in_a_frame_larger_than_its_canvas_is_refused(side):
    canvas = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02L\x01\x00;"
    with pytest.raises(ImageTooLarge, match=r"^<bytes>: "):
        compute(canvas + frame)


def test_the_pixel_limit_is_inclusive_and_ours_alone(monkeypatch):
    image = load()
    pixels = image.width * image.height
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert compute(PHOTOGRAPH, limits=Limits(max_pixels=pixels))
    with pytest.raises(ImageTooLarge, match=f"pixels; at most max_pixels = {pixels - 1} are decoded$"):
        compute(PHOTOGRAPH, limits=Limits(max_pixels=pixels - 1))


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=1000, deadline=None)
@given(st.sampled_from(FORMATS), st.data())
def test_damaged_files_give_a_hash_or_our_error(file_format, data):
    damaged = bytearray(SMALL[file_format])
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        (phash,) = compute(bytes(damaged[: data.draw(st.integers(1, len(damaged)))]), ("phash64",))
    except ImageError as error:
        assert str(error).startswith("<bytes>: ")  # noqa: PT017
    else:
        assert len(phash.value) == 8


SMALL = {file_format: encoded(load().resize((48, 32)), file_format) for file_format in FORMATS}
