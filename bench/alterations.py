"""What happens to images between the list and the upload, in steps from harmless to harsh."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

Alteration = Callable[[Image.Image, Generator], Image.Image]


def jpeg(image: Image.Image, _rng: Generator, *, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def resize(image: Image.Image, _rng: Generator, *, share: float) -> Image.Image:
    size = tuple(max(1, round(length * share)) for length in image.size)
    return image.resize(size, Image.Resampling.LANCZOS)


def crop(image: Image.Image, rng: Generator, *, share: float) -> Image.Image:
    """Cut off that share of width and height, from a random place."""
    kept = [round(length * (1 - share)) for length in image.size]
    left, top = (int(rng.integers(length - keep + 1)) for length, keep in zip(image.size, kept, strict=True))
    return image.crop((left, top, left + kept[0], top + kept[1]))


def rotate(image: Image.Image, rng: Generator, *, degrees: float) -> Image.Image:
    """Turn either way, with black corners."""
    return image.rotate(degrees * rng.choice((-1, 1)), Image.Resampling.BICUBIC)


def quarter_turn(image: Image.Image, _rng: Generator) -> Image.Image:
    return image.transpose(Image.Transpose.ROTATE_90)


def flip(image: Image.Image, _rng: Generator) -> Image.Image:
    return ImageOps.mirror(image)


def letterbox(image: Image.Image, _rng: Generator, *, share: float) -> Image.Image:
    """Put black bars above and below, each of that share of the height."""
    bar = round(image.height * share)
    return ImageOps.expand(image, (0, bar, 0, bar), fill="black")


def border(image: Image.Image, _rng: Generator, *, share: float) -> Image.Image:
    return ImageOps.expand(image, round(min(image.size) * share), fill="white")


def watermark(image: Image.Image, _rng: Generator) -> Image.Image:
    """Write a line into the lower left corner."""
    marked = image.copy()
    size = max(9, image.height // 16)
    place = (image.width // 20, image.height - 2 * size)
    ImageDraw.Draw(marked).text(place, "(c) example.com", fill="white", font_size=size)
    return marked


def overprint(image: Image.Image, _rng: Generator) -> Image.Image:
    """Write across the middle, half transparent, as stock photographs have it."""
    layer = Image.new("RGBA", image.size)
    size = image.width // 7
    place = (image.width // 2, image.height // 2)
    ImageDraw.Draw(layer).text(place, "EXAMPLE", fill=(255, 255, 255, 128), font_size=size, anchor="mm")
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def caption(image: Image.Image, _rng: Generator) -> Image.Image:
    """Put a white strip with text below, a tenth of the height."""
    strip = image.height // 10
    captioned = ImageOps.expand(image, (0, 0, 0, strip), fill="white")
    ImageDraw.Draw(captioned).text((strip // 2, image.height), "look at this", fill="black", font_size=strip * 3 // 4)
    return captioned


def blur(image: Image.Image, _rng: Generator, *, share: float) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(share * min(image.size)))


def noise(image: Image.Image, rng: Generator, *, sigma: float) -> Image.Image:
    noisy = np.asarray(image) + rng.normal(0, sigma, (image.height, image.width, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def brightness(image: Image.Image, _rng: Generator, *, factor: float) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(factor)


def contrast(image: Image.Image, _rng: Generator, *, factor: float) -> Image.Image:
    return ImageEnhance.Contrast(image).enhance(factor)


def gamma(image: Image.Image, _rng: Generator, *, exponent: float) -> Image.Image:
    return image.point([round(255 * (level / 255) ** exponent) for level in range(256)] * 3)


def grey(image: Image.Image, _rng: Generator) -> Image.Image:
    return image.convert("L").convert("RGB")


def hue(image: Image.Image, _rng: Generator, *, share: float) -> Image.Image:
    """Turn all colours by that share of the circle."""
    turned, *rest = image.convert("HSV").split()
    turned = turned.point([(level + round(256 * share)) % 256 for level in range(256)])
    return Image.merge("HSV", (turned, *rest)).convert("RGB")


ALTERATIONS: dict[str, Alteration] = {
    **{f"JPEG quality {q}": partial(jpeg, quality=q) for q in (80, 50, 30, 10)},
    **{f"resized to {s:.0%}": partial(resize, share=s) for s in (0.75, 0.5, 0.25)},
    **{f"cropped by {s:.0%}": partial(crop, share=s) for s in (0.01, 0.02, 0.05, 0.1, 0.2)},
    **{f"rotated by {d} degree{'s' * (d > 1)}": partial(rotate, degrees=d) for d in (1, 2, 5)},
    "turned by 90 degrees": quarter_turn,
    "flipped": flip,
    **{f"letterboxed, bars of {s:.0%}": partial(letterbox, share=s) for s in (0.05, 0.15)},
    "white border of 5%": partial(border, share=0.05),
    "watermark in a corner": watermark,
    "half transparent text across": overprint,
    "captioned below": caption,
    **{f"blurred, sigma {s:.1%} of the side": partial(blur, share=s) for s in (0.004, 0.01, 0.02)},
    "noise, sigma 10 of 255": partial(noise, sigma=10),
    "brighter by 30%": partial(brightness, factor=1.3),
    "darker by 30%": partial(brightness, factor=0.7),
    "contrast up by 50%": partial(contrast, factor=1.5),
    "gamma 1.5": partial(gamma, exponent=1.5),
    "grey": grey,
    "hue turned by 20%": partial(hue, share=0.2),
}
"""By name. Each takes an RGB image and a source of chance, and returns another RGB image."""
