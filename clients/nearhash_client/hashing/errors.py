"""Why an image has no hash. Each message begins with the file's name."""

from nearhash_client.errors import NearHashError


class ImageError(NearHashError, ValueError):
    """The image cannot be hashed as asked."""


class NotAnImage(ImageError):
    """The source is empty, a directory, or in no image format that is read."""


class ImageTooLarge(ImageError):
    """The image has more bytes or pixels than the limits allow. It was not decoded."""


class TruncatedImage(ImageError):
    """The data begin as an image but end early or are damaged."""


class ImageTooSlow(ImageError):
    """The file was not hashed in the time allowed."""
