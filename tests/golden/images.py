"""The golden images: each as a file's bytes and, not by way of our decoder, as the pixels that are to be hashed."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from skimage import data

Pixels = NDArray[np.uint8]

# What the EXIF orientation tells a viewer to do with the stored pixels.
_TURNED = {
    3: lambda pixels: np.rot90(pixels, 2),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels.transpose(1, 0, 2), 2),
    8: lambda pixels: np.rot90(pixels, 1),
}


def golden_images() -> Iterator[tuple[str, bytes, Pixels]]:
    """Yield file name, bytes, and uint8[height, width, 3]."""
    yield from _jpegs()
    yield from _pngs()


def _jpegs() -> Iterator[tuple[str, bytes, Pixels]]:
    cat = Image.fromarray(data.chelsea()).resize((200, 133), Image.Resampling.LANCZOS)
    person = Image.fromarray(data.astronaut()[:320, :320]).resize((160, 160), Image.Resampling.LANCZOS)
    yield _jpeg("photograph.jpg", cat, quality=85)
    yield _jpeg("photograph-progressive.jpg", person, quality=60, progressive=True)
    yield _jpeg("photograph-full-chroma.jpg", person, quality=70, subsampling=0)
    yield _jpeg("photograph-grey.jpg", cat.convert("L"), quality=75)
    yield _jpeg("photograph-cmyk.jpg", person.resize((96, 96)).convert("CMYK"), quality=70)
    for orientation, turned in _TURNED.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        name, stored, pixels = _jpeg(f"orientation-{orientation}.jpg", cat, quality=50, exif=exif)
        yield name, stored, np.ascontiguousarray(turned(pixels))


def _jpeg(name: str, image: Image.Image, **how: object) -> tuple[str, bytes, Pixels]:
    file = io.BytesIO()
    image.save(file, "JPEG", **how)
    # What a JPEG decodes to is up to the decoder: here libjpeg-turbo by way of Pillow.
    return name, file.getvalue(), np.asarray(Image.open(file).convert("RGB"))


def _pngs() -> Iterator[tuple[str, bytes, Pixels]]:
    scene = _scene()
    pixels = np.asarray(scene)
    yield _png("drawing.png", scene, pixels)
    yield _png("tall.png", Image.fromarray(pixels[:, 40:80]), pixels[:, 40:80])
    bars = np.vstack([np.zeros((24, *pixels.shape[1:]), np.uint8), pixels, np.zeros((24, *pixels.shape[1:]), np.uint8)])
    yield _png("letterboxed.png", Image.fromarray(bars), bars)

    levels = np.asarray(scene.convert("L"))
    yield _png("grey.png", Image.fromarray(levels), _grey(levels))
    deep = levels.astype(np.uint16) << 8 | np.arange(levels.size, dtype=np.uint16).reshape(levels.shape) % 256
    yield _png("grey-16-bit.png", Image.fromarray(deep), _grey(levels))
    yield _png("one-bit.png", Image.fromarray(levels > 128), _grey(np.where(levels > 128, 255, 0).astype(np.uint8)))

    indexed = scene.quantize(16, dither=Image.Dither.NONE)
    table = np.asarray(indexed.getpalette(), dtype=np.uint8).reshape(-1, 3)
    yield _png("palette.png", indexed, table[np.asarray(indexed)])
    white = table.copy()
    white[0] = 255
    yield _png("palette-transparent.png", indexed, white[np.asarray(indexed)], transparency=0)

    across = np.linspace(0, 255, pixels.shape[1]).round().astype(np.uint8)
    alpha = np.broadcast_to(across, levels.shape)
    layered = Image.fromarray(np.dstack([pixels, alpha]))
    yield _png("alpha.png", layered, _on_white(pixels, alpha))

    for name, side in (("tiny.png", (7, 5)), ("one-pixel.png", (1, 1))):
        small = scene.resize(side)
        yield _png(name, small, np.asarray(small))
    flat = np.full((32, 32, 3), (200, 30, 90), dtype=np.uint8)
    yield _png("flat.png", Image.fromarray(flat), flat)
    two_tone = flat.copy()
    two_tone[:, 16:] = 0
    yield _png("two-tone.png", Image.fromarray(two_tone), two_tone)


def _png(name: str, image: Image.Image, pixels: Pixels, **how: object) -> tuple[str, bytes, Pixels]:
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True, **how)
    return name, file.getvalue(), np.ascontiguousarray(pixels)


def _scene() -> Image.Image:
    """Draw hills and balls before a sky, without the grain that would make a PNG large."""
    rng = np.random.default_rng(5)
    scene = Image.linear_gradient("L").resize((120, 90)).convert("RGB")
    draw = ImageDraw.Draw(scene)
    for _ in range(9):
        x, y, size = (int(rng.integers(limit)) for limit in (120, 90, 30))
        draw.ellipse((x - size, y - size, x + size, y + size), fill=tuple(rng.integers(0, 256, 3).tolist()))
    return scene.filter(ImageFilter.GaussianBlur(0.6))


def _grey(levels: Pixels) -> Pixels:
    return np.repeat(levels[:, :, None], 3, axis=2)


def _on_white(pixels: Pixels, alpha: Pixels) -> Pixels:
    share = alpha[:, :, None].astype(np.float64) / 255
    return (pixels * share + 255 * (1 - share)).round().astype(np.uint8)
