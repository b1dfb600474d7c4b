"""The section [tls]."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from nearhash_index.errors import InvalidInput
from nearhash_service.config.section import Section

__all__ = ["TLSSection"]


class TLSSection(Section, frozen=True):
    """PEM files. Without a certificate, the server speaks plain text."""

    certificate: Annotated[Path | None, Meta(description="PEM file of the certificate chain.")] = None
    key: Annotated[Path | None, Meta(description="PEM file of the private key.")] = None
    client_ca: Annotated[
        Path | None, Meta(description="PEM file of an authority: only clients with its certificate are let in (mTLS).")
    ] = None

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Raise InvalidInput unless the files are there and belong together, as they must whenever they change, too."""
        if self.certificate is None and self.key is None and self.client_ca is None:
            return
        if self.certificate is None or self.key is None:
            raise InvalidInput(
                "tls.certificate" if self.certificate is None else "tls.key",
                "missing; TLS needs both, tls.certificate and tls.key",
            )
        for path in (self.certificate, self.key, self.client_ca):
            if path is not None and not path.is_file():
                raise InvalidInput(str(path), "no such file; give a PEM file")
        # Found here, not in workers that cannot start.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.certificate, self.key, password="")
        except ssl.SSLError:
            raise InvalidInput(
                f"{self.certificate}, {self.key}",
                "no certificate with its private key; give PEM files that belong together, the key not encrypted",
            ) from None
        if self.client_ca is not None:
            try:
                context.load_verify_locations(self.client_ca)
            except ssl.SSLError:
                raise InvalidInput(str(self.client_ca), "no certificate; give a PEM file") from None
