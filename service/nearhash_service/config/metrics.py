"""The section [metrics]."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from nearhash_index.errors import InvalidInput
from nearhash_service.config.section import Section
from nearhash_service.config.server import is_loopback, parse_address

__all__ = ["MetricsSection"]


class MetricsSection(Section, frozen=True):
    """Where to tell what the server does, for Prometheus and `nearhash top`."""

    listen: Annotated[
        str | None, Meta(description="HOST:PORT for plain HTTP, such as 127.0.0.1:9464. Unset: metrics are not told.")
    ] = None
    allow_plaintext: Annotated[
        bool, Meta(description="Tell other machines, too: names of banks and what is counted, but no hashes.")
    ] = False

    def __post_init__(self) -> None:
        if self.listen is None:
            return
        host, _ = parse_address(self.listen, "metrics.listen")
        if not self.allow_plaintext and not is_loopback(host):
            raise InvalidInput(
                "metrics.listen",
                f"{host} can be reached from other machines; listen on 127.0.0.1, or set metrics.allow_plaintext",
            )
