"""Images that look natural enough for their hashes to be as skewed as those of real ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from skimage import data

SIDE = 128
WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "and", "runs", "away", "from", "them"]


def image(rng: np.random.Generator) -> Image.Image:
    """Draw one image of a random kind, grey, of SIDE x SIDE pixels."""
    return image_and_kind(rng)[0]


def image_and_kind(rng: np.random.Generator, side: int = SIDE) -> tuple[Image.Image, str]:
    """Draw one image of a random kind, grey, of side x side pixels, and name the kind."""
    kinds = (_noise, _noise, _gradient, _shapes, _text, _crop, _crop, _crop)
    draw = kinds[rng.integers(len(kinds))]
    return Image.fromarray(draw(rng, side)), draw.__name__.strip("_")


def _noise(rng: np.random.Generator, side: int) -> NDArray[np.uint8]:
    """Noise whose spectrum falls with 1/f**a, as that of photographs does."""
    f = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    f[0, 0] = 1
    phases = rng.normal(size=f.shape) + 1j * rng.normal(size=f.shape)
    return _scaled(np.fft.irfft2(phases / f ** rng.uniform(0.8, 1.8), (side, side)))


def _gradient(rng: np.random.Generator, side: int) -> NDArray[np.uint8]:
    x, y = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
    a, b, c = rng.normal(size=3)
    return _scaled(a * x + b * y + c * np.hypot(x - rng.normal() / 2, y - rng.normal() / 2) + _fine(rng, 0.05, side))


def _shapes(rng: np.random.Generator, side: int) -> NDArray[np.uint8]:
    picture = Image.new("L", (side, side), int(rng.integers(256)))
    draw = ImageDraw.Draw(picture)
    margin = 20 * side // SIDE
    for _ in range(rng.integers(2, 9)):
        corners = np.sort(rng.integers(-margin, side + margin, (2, 2)), axis=0).ravel().tolist()
        (draw.ellipse if rng.random() < 0.5 else draw.rectangle)(corners, fill=int(rng.integers(256)))
    return _scaled(np.asarray(picture) + 255 * _fine(rng, 0.02, side))


def _text(rng: np.random.Generator, side: int) -> NDArray[np.uint8]:
    dark = rng.random() < 0.3
    picture = Image.new("L", (side, side), 20 if dark else 235)
    draw = ImageDraw.Draw(picture)
    size = int(rng.integers(9, 28)) * side // SIDE
    for line in range(0, side, size + 3 * side // SIDE):
        draw.text(
            (int(rng.integers(12)) * side // SIDE, line),
            " ".join(rng.choice(WORDS, 8)),
            230 if dark else 20,
            font_size=size,
        )
    return np.asarray(picture)


def _crop(rng: np.random.Generator, side: int) -> NDArray[np.uint8]:
    photographs = (data.astronaut, data.camera, data.coffee, data.chelsea, data.coins, data.moon, data.rocket)
    photograph = Image.fromarray(photographs[rng.integers(len(photographs))]()).convert("L")
    length = int(rng.uniform(0.15, 0.7) * min(photograph.size))
    left, top = (int(rng.integers(whole - length)) for whole in photograph.size)
    crop = photograph.crop((left, top, left + length, top + length)).resize((side, side))
    return np.asarray(crop.rotate(int(rng.integers(4)) * 90))


def _fine(rng: np.random.Generator, strength: float, side: int) -> NDArray[np.float64]:
    return strength * rng.normal(size=(side, side))


def _scaled(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    low, high = values.min(), values.max()
    return np.uint8((values - low) / max(high - low, 1e-9) * 255)
