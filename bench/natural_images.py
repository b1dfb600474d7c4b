"""Images that look natural enough for their hashes to be as skewed as those of real ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from skimage import data

SIDE = 128
WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "and", "runs", "away", "from", "them"]


def image(rng: np.random.Generator) -> Image.Image:
    """Draw one image of a random kind."""
    kinds = (_noise, _noise, _gradient, _shapes, _text, _crop, _crop, _crop)
    return Image.fromarray(kinds[rng.integers(len(kinds))](rng))


def _noise(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Noise whose spectrum falls with 1/f**a, as that of photographs does."""
    f = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None, :])
    f[0, 0] = 1
    phases = rng.normal(size=f.shape) + 1j * rng.normal(size=f.shape)
    return _scaled(np.fft.irfft2(phases / f ** rng.uniform(0.8, 1.8), (SIDE, SIDE)))


def _gradient(rng: np.random.Generator) -> NDArray[np.uint8]:
    x, y = np.meshgrid(np.linspace(-1, 1, SIDE), np.linspace(-1, 1, SIDE))
    a, b, c = rng.normal(size=3)
    return _scaled(a * x + b * y + c * np.hypot(x - rng.normal() / 2, y - rng.normal() / 2) + _fine(rng, 0.05))


def _shapes(rng: np.random.Generator) -> NDArray[np.uint8]:
    picture = Image.new("L", (SIDE, SIDE), int(rng.integers(256)))
    draw = ImageDraw.Draw(picture)
    for _ in range(rng.integers(2, 9)):
        corners = np.sort(rng.integers(-20, SIDE + 20, (2, 2)), axis=0).ravel().tolist()
        (draw.ellipse if rng.random() < 0.5 else draw.rectangle)(corners, fill=int(rng.integers(256)))
    return _scaled(np.asarray(picture) + 255 * _fine(rng, 0.02))


def _text(rng: np.random.Generator) -> NDArray[np.uint8]:
    dark = rng.random() < 0.3
    picture = Image.new("L", (SIDE, SIDE), 20 if dark else 235)
    draw = ImageDraw.Draw(picture)
    size = int(rng.integers(9, 28))
    for line in range(0, SIDE, size + 3):
        draw.text((int(rng.integers(12)), line), " ".join(rng.choice(WORDS, 8)), 230 if dark else 20, font_size=size)
    return np.asarray(picture)


def _crop(rng: np.random.Generator) -> NDArray[np.uint8]:
    photographs = (data.astronaut, data.camera, data.coffee, data.chelsea, data.coins, data.moon, data.rocket)
    photograph = Image.fromarray(photographs[rng.integers(len(photographs))]()).convert("L")
    side = int(rng.uniform(0.15, 0.7) * min(photograph.size))
    left, top = (int(rng.integers(length - side)) for length in photograph.size)
    crop = photograph.crop((left, top, left + side, top + side)).resize((SIDE, SIDE))
    return np.asarray(crop.rotate(int(rng.integers(4)) * 90))


def _fine(rng: np.random.Generator, strength: float) -> NDArray[np.float64]:
    return strength * rng.normal(size=(SIDE, SIDE))


def _scaled(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    low, high = values.min(), values.max()
    return np.uint8((values - low) / max(high - low, 1e-9) * 255)
