"""Tells whether this machine hashes images as others do: small golden images, with hashes by other implementations.

>>> from nearhash_client.conformance import compare
>>> [difference for difference in compare() if difference.differs]  # doctest: +SKIP

Needs what `nearhash_client.hashing` needs: ``pip install 'nearhash[images]'``.
"""

from .comparing import PDQ_MIN_QUALITY, PDQ_TOLERANCE_BITS, Comparison, compare, decoder_versions

__all__ = ["PDQ_MIN_QUALITY", "PDQ_TOLERANCE_BITS", "Comparison", "compare", "decoder_versions"]
