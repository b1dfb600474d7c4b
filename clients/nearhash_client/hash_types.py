"""The hash types by name, with their widths."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from nearhash.v1 import lookup_pb2

from .errors import invalid


@dataclass(frozen=True, slots=True)
class HashType:
    """A kind of hash.

    Attributes
    ----------
    name
        As `hash_type` arguments spell it, for example ``"phash64"``.
    width_bits
        A multiple of 8.
    number
        The value of the wire enum.
    """

    name: str
    width_bits: int
    number: lookup_pb2.HashType.ValueType

    @property
    def width_bytes(self) -> int:
        """The length of one packed hash."""
        return self.width_bits // 8


HASH_TYPES: Mapping[str, HashType] = MappingProxyType(
    {
        hash_type.name: hash_type
        for hash_type in (
            HashType("phash64", 64, lookup_pb2.HASH_TYPE_PHASH64),
            HashType("dhash64", 64, lookup_pb2.HASH_TYPE_DHASH64),
            HashType("ahash64", 64, lookup_pb2.HASH_TYPE_AHASH64),
            HashType("whash64", 64, lookup_pb2.HASH_TYPE_WHASH64),
            HashType("pdq256", 256, lookup_pb2.HASH_TYPE_PDQ256),
            HashType("md5", 128, lookup_pb2.HASH_TYPE_MD5),
            HashType("sha1", 160, lookup_pb2.HASH_TYPE_SHA1),
            HashType("sha256", 256, lookup_pb2.HASH_TYPE_SHA256),
        )
    }
)


def find_hash_type(name: str) -> HashType:
    """Return the hash type of that name.

    Raises
    ------
    InvalidRequest
        If there is none.
    """
    try:
        return HASH_TYPES[name]
    except (KeyError, TypeError):
        raise invalid("hash_type", f"found {name!r}; it is one of {', '.join(HASH_TYPES)}") from None
