"""All sections together."""

from __future__ import annotations

import msgspec

from nearhash_index.errors import InvalidInput
from nearhash_service.config.admission import AdmissionSection
from nearhash_service.config.callers import Caller, check_callers
from nearhash_service.config.log import LogSection
from nearhash_service.config.metrics import MetricsSection
from nearhash_service.config.publish import PublishSection
from nearhash_service.config.section import Section
from nearhash_service.config.server import ServerSection
from nearhash_service.config.tls import TLSSection
from nearhash_service.config.tracing import TracingSection

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
    admission: AdmissionSection = AdmissionSection()
    metrics: MetricsSection = MetricsSection()
    log: LogSection = LogSection()
    tracing: TracingSection = TracingSection()

    callers: tuple[Caller, ...] = ()

    def __post_init__(self) -> None:
        self._check_transport()
        self._check_callers()

    def _check_transport(self) -> None:
        if self.tls.certificate is None and not self.server.allow_plaintext and not self.server.is_loopback():
            raise InvalidInput(
                "server.listen",
                f"{self.server.host} can be reached from other machines and there is no TLS; give --tls-certificate "
                "and --tls-key, listen on 127.0.0.1, or say --allow-plaintext if the network encrypts",
            )

    def _check_callers(self) -> None:
        outside = not self.server.is_loopback()
        if outside and not self.callers and self.tls.client_ca is None and not self.server.allow_anyone:
            raise InvalidInput(
                "server.listen",
                f"{self.server.host} can be reached from other machines, and whoever does could do everything; name "
                "[[callers]] in the configuration file, give --tls-client-ca, or say --allow-anyone",
            )
        for i, caller in enumerate(self.callers):
            if caller.token_sha256 and outside and self.tls.certificate is None:
                raise InvalidInput(f"callers[{i}].token_sha256", "tokens would travel in plain text; they need TLS")
            if caller.certificates and self.tls.client_ca is None:
                raise InvalidInput(f"callers[{i}].certificates", "nobody is asked for one; they need tls.client_ca")
        check_callers(self.callers)

    def listening_on(self, port: int) -> Config:
        """Return the configuration with the port that port 0 became."""
        host = f"[{self.server.host}]" if ":" in self.server.host else self.server.host
        server = msgspec.structs.replace(self.server, listen=f"{host}:{port}")
        return msgspec.structs.replace(self, server=server)
