"""What is looked up of an upload, and what follows from how near a match is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from nearhash_client.hashing import FORMS
from nearhash_client.hashing.computing import Letterbox


class Action(StrEnum):
    """What a match calls for, from the weakest to the strongest."""

    OBSERVE = "observe"
    REVIEW = "review"
    BLOCK = "block"

    @property
    def strength(self) -> int:
        """Higher for what is stronger."""
        return list(Action).index(self)


@dataclass(frozen=True, slots=True)
class Bands:
    """Bands of distance, in bits, inclusive. What matches beyond both is observed.

    Attributes
    ----------
    block, review
        Up to these distances; None: at none.
    """

    block: int | None
    review: int | None

    def action(self, distance: int) -> Action:
        """Return what a match at a distance calls for."""
        if self.block is not None and distance <= self.block:
            return Action.BLOCK
        if self.review is not None and distance <= self.review:
            return Action.REVIEW
        return Action.OBSERVE


@dataclass(frozen=True, slots=True)
class VideoRule:
    """When a video blocks: if both shares of matched frames are reached. Any other match is reviewed.

    Attributes
    ----------
    min_query_share
        Share of the upload's frames that match one of the entry's, 0 to 1; 0.8 as in vPDQ.
    min_entry_share
        Share of the entry's frames that one of the upload's matches, 0 to 1; 0 as in vPDQ: a short cut of a listed
        video is that video, too.
    """

    min_query_share: float = 0.8
    min_entry_share: float = 0.0


_EXACT = Bands(0, 0)
# Unlike pictures meet at few bits of 64, as bench/ROBUSTNESS.md counts: none of these types blocks by itself.
_SHORT = Bands(None, 2)
_BANDS: Mapping[str, Bands] = MappingProxyType(
    {
        **dict.fromkeys(("md5", "sha1", "sha256"), _EXACT),
        "pdq256": Bands(20, 31),
        **dict.fromkeys(("phash64", "dhash64", "ahash64", "whash64"), _SHORT),
    }
)


@dataclass(frozen=True, slots=True)
class Policy:
    """What is looked up of an upload, and what follows.

    A bank's radius, set on the server, bounds what matches at all; these bands divide what lies within it.

    Attributes
    ----------
    digests
        Exact digests of the file: of "md5", "sha1", "sha256".
    perceptual
        Perceptual hashes of the picture. Videos are hashed by pdq256 alone.
    forms
        How the picture is turned and mirrored, to find copies that were; names from `FORMS`.
    letterbox
        "both": a picture within bars is looked up without them, too.
    min_quality
        PDQ hashes of a lower quality are not looked up, but named.
    bands
        By hash type. Types left out have the defaults.
    bank_bands
        By bank, then by hash type: what differs there.
    video
        When a video blocks.
    """

    digests: tuple[str, ...] = ("md5", "sha1", "sha256")
    perceptual: tuple[str, ...] = ("pdq256", "phash64")
    forms: tuple[str, ...] = FORMS
    letterbox: Letterbox = "both"
    min_quality: int = 50
    bands: Mapping[str, Bands] = field(default_factory=dict)
    bank_bands: Mapping[str, Mapping[str, Bands]] = field(default_factory=dict)
    video: VideoRule = VideoRule()

    def action(self, bank: str, hash_type: str, distance: int) -> Action:
        """Return what a match calls for."""
        of_bank = self.bank_bands.get(bank, {})
        bands = of_bank.get(hash_type) or self.bands.get(hash_type) or _BANDS[hash_type]
        return bands.action(distance)
