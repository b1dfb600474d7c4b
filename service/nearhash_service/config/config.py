"""All sections together."""

from __future__ import annotations

import msgspec

from nearhash_index.errors import InvalidInput
from nearhash_service.config.metrics import MetricsSection
from nearhash_service.config.publish import PublishSection
from nearhash_service.config.section import Section
from nearhash_service.config.server import ServerSection
from nearhash_service.config.tls import TLSSection

__all__ = ["Config"]


class Config(Section, frozen=True):
    """What `nearhash serve` runs.

    Raises
    ------
    InvalidInput
        Naming the key.
    """

    server: ServerSection
    tls: TLSSection = TLSSection()
    publish: PublishSection = PublishSection()
    metrics: MetricsSection = MetricsSection()

    def __post_init__(self) -> None:
        if self.tls.certificate is None and not self.server.allow_plaintext and not self.server.is_loopback():
            raise InvalidInput(
                "server.listen",
                f"{self.server.host} can be reached from other machines and there is no TLS; give --tls-certificate "
                "and --tls-key, listen on 127.0.0.1, or say --allow-plaintext if the network encrypts",
            )

    def listening_on(self, port: int) -> Config:
        """Return the configuration with the port that port 0 became."""
        host = f"[{self.server.host}]" if ":" in self.server.host else self.server.host
        server = msgspec.structs.replace(self.server, listen=f"{host}:{port}")
        return msgspec.structs.replace(self, server=server)
