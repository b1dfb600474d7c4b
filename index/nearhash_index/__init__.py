"""The engine of NearHash: exact Hamming-radius search, and the store that holds hash lists. No gRPC, no images."""

from nearhash_index.index import Index
from nearhash_index.matches import Matches

__all__ = ["Index", "Matches"]
