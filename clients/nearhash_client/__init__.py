"""Client for NearHash, which answers which entries of hash lists lie within a Hamming radius of hashes.

>>> with Client("localhost:50051") as client:  # doctest: +SKIP
...     result = client.lookup(["e64cc9d91c623882"], hash_type="phash64", radius=8)

`nearhash_client.hashing` computes hashes from images; it needs the extra `nearhash[images]` and is never loaded by this
module, which needs gRPC and protobuf alone.
"""

from .aio import AsyncClient
from .channel import TLS
from .client import Client
from .errors import (
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    FieldViolation,
    InvalidRequest,
    NearHashError,
    NotFound,
    Overloaded,
    PermissionDenied,
    ServerError,
    Unauthenticated,
    Unavailable,
    error_from_rpc,
)
from .hash_types import HASH_TYPES, HashType
from .requests import LookupOptions
from .results import Allowed, AnsweredBatch, LookupResult, Match, Unsearchable
from .tokens import Token

__all__ = [
    "HASH_TYPES",
    "TLS",
    "Allowed",
    "AlreadyExists",
    "AnsweredBatch",
    "AsyncClient",
    "Client",
    "DeadlineExceeded",
    "FailedPrecondition",
    "FieldViolation",
    "HashType",
    "InvalidRequest",
    "LookupOptions",
    "LookupResult",
    "Match",
    "NearHashError",
    "NotFound",
    "Overloaded",
    "PermissionDenied",
    "ServerError",
    "Token",
    "Unauthenticated",
    "Unavailable",
    "Unsearchable",
    "error_from_rpc",
]
