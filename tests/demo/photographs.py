"""Photographs, and what people do to them before they upload them again."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from importlib.resources import files

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

__all__ = ["ALTERATIONS", "generated", "photographs"]

# Not the package's textures and star fields: of these a watermark makes another image, for any perceptual hash.
_NAMES = (
    "astronaut.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)


def photographs() -> Iterator[tuple[str, Image.Image]]:
    """Yield the photographs that scikit-image's package carries, with their names."""
    folder = files("skimage") / "data"
    for name in _NAMES:
        yield name.partition(".")[0], Image.open(io.BytesIO((folder / name).read_bytes())).convert("RGB")


def generated(count: int, seed: int) -> Iterator[tuple[str, Image.Image]]:
    """Yield scenes drawn at random: clouds, hills and balls."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        yield f"scene-{seed}-{i}", _scene(rng)


def _scene(rng: np.random.Generator, width: int = 480, height: int = 360) -> Image.Image:
    coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    scene = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(scene)
    for _ in range(12):
        x, y = rng.integers(0, width), rng.integers(0, height)
        size = int(rng.integers(15, 110))
        colour = tuple(rng.integers(0, 256, 3).tolist())
        if rng.random() < 0.5:
            draw.ellipse((x - size, y - size, x + size, y + size), fill=colour)
        else:
            draw.polygon([(x, y - size), (x - size, y + size), (x + size, y + size)], fill=colour)
    grain = rng.normal(0, 6, (height, width, 3))
    grained = np.clip(np.asarray(scene.filter(ImageFilter.GaussianBlur(1)), dtype=np.float64) + grain, 0, 255)
    return Image.fromarray(grained.astype(np.uint8))


def _resize(image: Image.Image) -> Image.Image:
    return image.resize((image.width * 6 // 10, image.height * 6 // 10), Image.Resampling.LANCZOS)


def _jpeg(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=30)
    return Image.open(file)


def _greyscale(image: Image.Image) -> Image.Image:
    return image.convert("L")


def _brightness(image: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(1.15)


def _crop(image: Image.Image) -> Image.Image:
    x, y = image.width // 100, image.height // 100
    return image.crop((x, y, image.width - x, image.height - y))


def _watermark(image: Image.Image) -> Image.Image:
    marked = image.copy()
    size = max(14, image.height // 16)
    ImageDraw.Draw(marked).text(
        (image.width // 20, image.height - 2 * size), "(c) example.com", fill=(255, 255, 255), font_size=size
    )
    return marked


ALTERATIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "resized 60 %": _resize,
    "JPEG 30": _jpeg,
    "greyscale": _greyscale,
    "brighter": _brightness,
    "cropped 1 %": _crop,
    "watermark": _watermark,
}
