"""Images as RGB pixels, whatever file or mode they come in."""

import io
import struct
import zlib

import numpy as np
from PIL import ExifTags, Image, ImageOps

from .errors import ImageError, ImageTooLarge, NotAnImage, TruncatedImage
from .limits import Limits

# What people upload. Pillow reads more, with decoders that are rarely exercised or start other programs.
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "JPEG2000", "PPM")

_WHITE = (255, 255, 255, 255)

# What Pillow's decoders raise on damaged data.
DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def open_image(data: bytes, name: str) -> Image.Image:
    """Read an image file's header. Nothing is decoded yet, whatever its size.

    Raises
    ------
    ImageError
        Naming `name`.
    """
    # Not by Image.open: it warns or raises by a pixel limit that is Pillow's global, before ours can be compared.
    Image.init()
    damage: BaseException | None = None
    for file_format in FORMATS:
        opener, accepts = Image.OPEN.get(file_format, (None, None))
        if opener is None or (accepts is not None and accepts(data[:16]) is not True):
            continue
        try:
            return opener(io.BytesIO(data), name)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise ImageTooLarge(f"{name}: a frame is too large to decode ({error})") from error
        except DAMAGED as error:
            damage = error
    if damage is not None:
        raise TruncatedImage(f"{name}: truncated or damaged; pass the complete file ({damage})") from damage
    raise NotAnImage(f"{name}: in no image format that is read; pass a file in one of {', '.join(FORMATS)}")


def to_rgb(image: Image.Image, name: str, limits: Limits) -> Image.Image:
    """Return the pixels that a viewer shows, in mode RGB; the image itself if it is these already.

    The frame that the image stands at, turned upright as its EXIF orientation says, on white where it is transparent.
    Colour profiles are not applied. Grey levels of more than 8 bits: the high byte of 16; 32-bit integers and floats
    have no agreed range, so their own is stretched to 0 to 255.

    Raises
    ------
    ImageTooLarge
        If the header announces more pixels than allowed; nothing has been decoded then.
    TruncatedImage
        If the pixels cannot be decoded.
    ImageError
        If there are no pixels, or the mode is none that an RGB image can be made from.
    """
    width, height = image.size
    if not width or not height:
        raise ImageError(f"{name}: {width} x {height} pixels; pass an image that has some")
    if width * height > limits.max_pixels:
        raise ImageTooLarge(f"{name}: {width} x {height} pixels; at most max_pixels = {limits.max_pixels} are decoded")
    try:
        image.load()
    except DAMAGED as error:
        raise TruncatedImage(f"{name}: truncated or damaged; pass the complete file ({error})") from error
    try:
        return _flatten(_to_8_bits(_upright(image)))
    except ValueError as error:
        raise ImageError(f"{name}: mode {image.mode} cannot be hashed; convert the image to RGB") from error


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8, from which `to_rgb` turns an image upright; 1: it is."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except DAMAGED:
        return 1
    return orientation if orientation in range(1, 9) else 1


def _upright(image: Image.Image) -> Image.Image:
    if orientation_of(image) == 1:
        # As nearly all are; what follows would copy it.
        return image
    try:
        return ImageOps.exif_transpose(image)
    except DAMAGED:
        # Unreadable EXIF data say nothing about the orientation; viewers show such an image as it is stored.
        return image


def _to_8_bits(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        levels = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0, neginf=0)
        return Image.fromarray(np.interp(levels, (levels.min(), levels.max()), (0, 255)).astype(np.uint8))
    return image


def _flatten(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, _WHITE), layer)
    return image if image.mode == "RGB" else image.convert("RGB")
