"""The certificates of a server, followed as their files change, so that renewing them needs no restart."""

from __future__ import annotations

import logging
from pathlib import Path

import grpc

from nearhash_index.errors import InvalidInput
from nearhash_service.config import TLSSection

__all__ = ["FollowedCertificates"]

_log = logging.getLogger(__name__)


class FollowedCertificates:
    """Gives each new connection the certificate that the files hold now; connections that stand keep theirs.

    Parameters
    ----------
    tls : TLSSection
        With a certificate.

    Attributes
    ----------
    error : str
        Why changed files are not followed; empty if they are. The last good certificate serves meanwhile.

    Raises
    ------
    InvalidInput
        If the files are wrong to begin with.
    """

    def __init__(self, tls: TLSSection) -> None:
        self.error = ""
        self._tls = tls
        self._files = [path for path in (tls.key, tls.certificate, tls.client_ca) if path is not None]
        self._seen, self._configuration = self._read()

    def credentials(self) -> grpc.ServerCredentials:
        """Return the credentials for a port."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration,
            self._changed,  # type: ignore[arg-type] # the stubs do not know of None, which means: as before
            require_client_authentication=self._tls.client_ca is not None,
        )

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return what the files hold if that has changed. gRPC asks before each handshake."""
        try:
            if _identities(self._files) == self._seen:
                return None
            self._seen, self._configuration = self._read()
        except (InvalidInput, OSError) as error:
            # Perhaps one of them is replaced and the other one about to be: the next connection looks again.
            self._report(f"the certificates are still those of before: {error}")
            return None
        self._report("")
        _log.info("following %s", ", ".join(map(str, self._files)))
        return self._configuration

    def _read(self) -> tuple[list[tuple[int, ...]], grpc.ServerCertificateConfiguration]:
        seen = _identities(self._files)
        self._tls.check()
        key, certificate, *authority = [path.read_bytes() for path in self._files]
        if _identities(self._files) != seen:
            raise InvalidInput(str(self._tls.certificate), "being replaced")
        return seen, grpc.ssl_server_certificate_configuration([(key, certificate)], *authority)

    def _report(self, error: str) -> None:
        if error and error != self.error:
            _log.error("%s", error)
        self.error = error


def _identities(files: list[Path]) -> list[tuple[int, ...]]:
    """Return what changes with the files."""
    found = [path.stat() for path in files]
    return [(status.st_mtime_ns, status.st_size, status.st_ino) for status in found]
