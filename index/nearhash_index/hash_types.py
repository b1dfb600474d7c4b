"""The hash types: their widths and default radii."""

from __future__ import annotations

from dataclasses import dataclass

from nearhash_index.errors import InvalidInput

__all__ = ["HASH_TYPES", "HashType", "check_radius", "hash_type_named"]


@dataclass(frozen=True, slots=True)
class HashType:
    """One kind of hash.

    Attributes
    ----------
    name : str
    number : int
        Stands for the type in files and on the wire (nearhash.v1.HashType); never given to another type.
    bits : int
        Width of the hash, a multiple of 8.
    default_radius : int
        Inclusive, in bits.
    perceptual : bool
        Whether near means alike. False for digests, which match at distance 0 or not at all.
    """

    name: str
    number: int
    bits: int
    default_radius: int
    perceptual: bool = True

    @property
    def size_bytes(self) -> int:
        """Width of the hash in bytes."""
        return self.bits // 8

    @property
    def words(self) -> int:
        """Number of uint64 words in a code of this type."""
        return -(-self.bits // 64)


HASH_TYPES: dict[str, HashType] = {
    hash_type.name: hash_type
    for hash_type in (
        HashType("phash64", 1, 64, 8),
        HashType("dhash64", 2, 64, 8),
        HashType("ahash64", 3, 64, 4),
        HashType("whash64", 4, 64, 4),
        HashType("pdq256", 5, 256, 31),
        HashType("md5", 6, 128, 0, perceptual=False),
        HashType("sha1", 7, 160, 0, perceptual=False),
        HashType("sha256", 8, 256, 0, perceptual=False),
    )
}


def hash_type_named(name: str, field: str = "hash_type") -> HashType:
    """Return the type of that name, or raise InvalidInput that lists the names."""
    try:
        return HASH_TYPES[name]
    except KeyError:
        raise InvalidInput(field, f"{name!r} is not a hash type; use one of {', '.join(HASH_TYPES)}") from None


def check_radius(hash_type: HashType, radius: int, field: str = "radius") -> int:
    """Return `radius` if it lies in 0..bits of the type (inclusive), or raise InvalidInput."""
    if not 0 <= radius <= hash_type.bits:
        raise InvalidInput(field, f"{radius} is out of range for {hash_type.name}; use 0 to {hash_type.bits}")
    return radius
