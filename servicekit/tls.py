"""Mutual TLS between the platform's processes: each proves itself by a certificate, and asks the other for its own."""

from pathlib import Path
from typing import NamedTuple

import grpc


class InternalTls(NamedTuple):
    """What a process proves itself by and whom it trusts: files (PEM), read when it begins to serve or to call."""

    certificate: Path
    key: Path
    trusted: Path  # the authorities that sign for the platform's processes, and for nobody else

    def server_credentials(self) -> grpc.ServerCredentials:
        """Lets in only who has a certificate of a trusted authority."""
        chain = [(self.key.read_bytes(), self.certificate.read_bytes())]
        return grpc.ssl_server_credentials(chain, self.trusted.read_bytes(), require_client_auth=True)

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Calls only a server whose certificate is of a trusted authority, and names the host that is called."""
        return grpc.ssl_channel_credentials(
            self.trusted.read_bytes(), self.key.read_bytes(), self.certificate.read_bytes()
        )
