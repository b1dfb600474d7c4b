"""The hashes of a video's frames.

Needs PyAV besides: ``pip install 'nearhash[video]'``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from PIL import Image

from nearhash_client.errors import invalid

from .computing import DIGESTS, ComputedHash, checked_names, frame_hashes
from .errors import ImageError, ImageTooLarge, NotAnImage, TruncatedImage
from .forms import checked_forms
from .frames import DecodedFrame, Frame
from .limits import Limits, Stopwatch
from .sources import Source, opened

try:
    import av
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"nearhash_client.hashing.video needs {missing.name}; install it with: pip install 'nearhash[video]'",
        name=missing.name,
    ) from missing

Sampling = Literal["seconds", "keyframes"]

_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg"
"""FFmpeg's names of what people upload. No playlists: they name other files to read, on any server."""
_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "none"}
_UPRIGHT = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180, 270: Image.Transpose.ROTATE_270}
_ORIENTATIONS = {0: 1, 90: 8, 180: 3, 270: 6}
_DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class ComputedVideo:
    """The hashes of a video's frames.

    Attributes
    ----------
    hashes
        Of the frames that tell enough, in the order that they are shown.
    frame_count
        Frames that were hashed, those left out for their quality included.
    stopped_by
        Why the rest of the video was not hashed: a limit, or damage; empty if all of it was.
    """

    hashes: tuple[ComputedHash, ...]
    frame_count: int
    stopped_by: str = ""


def compute_video(
    source: Source,
    hash_types: Sequence[str] = ("pdq256",),
    *,
    sampling: Sampling = "seconds",
    forms: Sequence[str] = ("original",),
    min_quality: int = 50,
    limits: Limits = _DEFAULT_LIMITS,
) -> ComputedVideo:
    """Return the hashes of a video's frames, decoded once, in bounded memory.

    Parameters
    ----------
    source
        A path, a file's bytes, or a binary file that can seek.
    hash_types
        Names of perceptual types from `HASH_TYPES`.
    sampling
        ``"seconds"``: the first frame of each second. ``"keyframes"``: only those that are coded by themselves, which
        is much faster; where they lie depends on the encoder, so that a re-encoded copy has others.
    forms
        Names from `FORMS`.
    min_quality
        PDQ hashes of a lower quality are left out: black frames, titles, blends.
    limits
        `max_frames` and `max_time_s` end the sampling, and `stopped_by` says so.

    Raises
    ------
    NotAnImage
        If the source is empty, a directory, or no video in a container that is read.
    ImageTooLarge
        If a frame has more pixels than the limits allow.
    TruncatedImage
        If not one frame can be decoded.
    ImageError
        If a digest is asked for; `compute` computes it.
    InvalidRequest
        If a hash type or form does not exist, or `sampling` is none of the above.
    OSError
        If the file cannot be read.
    """
    names = checked_names(hash_types)
    checked_forms(forms)
    if sampling not in get_args(Sampling):
        raise invalid("sampling", f"found {sampling!r}; it is one of {', '.join(get_args(Sampling))}")
    with opened(source) as (file, file_name):
        if DIGESTS.intersection(names):
            raise ImageError(f"{file_name}: digests are of a file's bytes, not of its frames; compute has them")
        sampled = _Sampled(file, file_name, sampling, limits)
        hashes = tuple(
            item
            for frame in sampled
            for item in frame_hashes(frame, names, forms, "keep")
            if item.quality is None or item.quality >= min_quality
        )
    return ComputedVideo(hashes, sampled.count, sampled.stopped_by)


class _Sampled:
    """Yields the frames of a video that are hashed, and then knows how many there were and what ended them."""

    def __init__(self, file: Any, name: str, sampling: Sampling, limits: Limits) -> None:
        self.count = 0
        self.stopped_by = ""
        self._file = file
        self._name = name
        self._keyframes = sampling == "keyframes"
        self._limits = limits

    def __iter__(self) -> Iterator[DecodedFrame]:
        stopwatch = Stopwatch(self._name, self._limits)
        try:
            with av.open(self._file, options=_OPTIONS) as container:
                for number, time_s, frame in self._chosen(container):
                    if self.count == self._limits.max_frames:
                        self.stopped_by = f"max_frames = {self._limits.max_frames}"
                    elif stopwatch.is_over():
                        self.stopped_by = f"max_time_s = {self._limits.max_time_s}"
                    if self.stopped_by:
                        return
                    self.count += 1
                    yield self._decoded(number, time_s, frame)
        except av.FFmpegError as error:
            self._stopped_by_damage(error)

    def _chosen(self, container: Any) -> Iterator[tuple[int, float, Any]]:
        if not container.streams.video:
            raise NotAnImage(f"{self._name}: a container without video; pass one with")
        stream = container.streams.video[0]
        if self._keyframes:
            stream.codec_context.skip_frame = "NONKEY"
        start_s: float | None = None
        next_s = 0.0
        for number, frame in enumerate(container.decode(stream)):
            # Some containers start their clock anywhere.
            start_s = (frame.time or 0.0) if start_s is None else start_s
            time_s = (frame.time or 0.0) - start_s
            if self._keyframes or time_s >= next_s:
                next_s = int(time_s) + 1.0
                yield number, time_s, frame

    def _decoded(self, number: int, time_s: float, frame: Any) -> DecodedFrame:
        if frame.width * frame.height > self._limits.max_pixels:
            raise ImageTooLarge(
                f"{self._name}: frames of {frame.width} x {frame.height} pixels; at most max_pixels = "
                f"{self._limits.max_pixels} are hashed"
            )
        turned = frame.rotation % 360
        rgb = frame.to_image()
        if turned in _UPRIGHT:
            rgb = rgb.transpose(_UPRIGHT[turned])
        return DecodedFrame(Frame(number, rgb.width, rgb.height, _ORIENTATIONS.get(turned, 1), time_s), rgb)

    def _stopped_by_damage(self, error: Exception) -> None:
        if isinstance(error, av.InvalidDataError | av.ArgumentError) and not self.count:
            raise NotAnImage(
                f"{self._name}: no video in a container that is read; pass one of {_CONTAINERS}"
            ) from error
        if not self.count:
            raise TruncatedImage(f"{self._name}: truncated or damaged; pass the complete file") from error
        self.stopped_by = f"damage after {self.count} frames"
