"""Certificates for tests, by authorities that nobody else knows."""

from pathlib import Path
from typing import Any, NamedTuple

import trustme


class Certificate(NamedTuple):
    """A certificate and its key, in files."""

    file: Path
    key: Path


class Authority:
    """Signs certificates; `file` is its own, for those who trust it."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._signer = trustme.CA()
        self.file = directory / "ca.crt"
        self._signer.cert_pem.write_to_path(self.file)

    def issue(self, *hosts: str, name: str = "", **options: Any) -> Certificate:
        """A certificate for these hosts; `options` are those of `trustme.CA.issue_cert`."""
        issued = self._signer.issue_cert(*hosts, **options)
        certificate = Certificate(*(self._directory / f"{name or hosts[0]}.{kind}" for kind in ("crt", "key")))
        certificate.file.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(certificate.key)
        return certificate

    def internal_tls(self, *hosts: str) -> dict[str, str]:
        """The settings by which processes on these hosts speak mutual TLS."""
        certificate = self.issue(*hosts, name="internal")
        return {
            "INTERNAL_TLS_CERT_FILE": str(certificate.file),
            "INTERNAL_TLS_KEY_FILE": str(certificate.key),
            "INTERNAL_TLS_CA_FILE": str(self.file),
        }
