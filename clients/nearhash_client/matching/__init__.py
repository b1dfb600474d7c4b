"""Verdicts on uploads, in one call.

>>> from nearhash_client.matching import match_image
>>> verdict = match_image("upload.jpg", client=client, timeout_s=2)  # doctest: +SKIP
>>> verdict.action  # doctest: +SKIP
<Action.BLOCK: 'block'>

Needs the extra `nearhash[images]`; `nearhash_client.matching.videos` needs `nearhash[video]` besides.
"""

from .images import match_image, match_image_async
from .policy import Action, Bands, Policy, VideoRule
from .verdicts import AllowedBy, BankVerdict, Failure, ImageVerdict, NotSearched, Reason

__all__ = [
    "Action",
    "AllowedBy",
    "Bands",
    "BankVerdict",
    "Failure",
    "ImageVerdict",
    "NotSearched",
    "Policy",
    "Reason",
    "VideoRule",
    "match_image",
    "match_image_async",
]
