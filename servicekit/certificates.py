"""Certificates in files (PEM): whether they can be used, told at the start and not by whoever first connects."""

import ssl
from pathlib import Path

_TURNS = 10  # of a handshake; it takes three


class WrongCertificate(ValueError):
    """A file can't be used; the message names it and its fault."""


def readable(path: Path) -> Path:
    """The path, absolute: settings may name a file relative to where a process was started.

    Raises:
        WrongCertificate: there is no such file, or it can't be read.
    """
    if not path.exists():
        raise WrongCertificate(f"there is no file {path}")
    try:
        path.read_bytes()
    except OSError as error:
        raise WrongCertificate(f"{path} can't be read ({error.strerror})") from None
    return path.absolute()


def certificates(path: Path) -> Path:
    """The path, absolute, of a file with one or more certificates.

    Raises:
        WrongCertificate: it isn't one.
    """
    path = readable(path)
    try:
        _client().load_verify_locations(path)
    except ssl.SSLError:
        raise WrongCertificate(f"{path} holds no certificate (PEM)") from None
    return path


def check(certificate: Path, key: Path, trusted: Path | None = None) -> None:
    """Makes sure that a process can prove itself by a certificate, to others who trust the authorities in `trusted`.

    It shakes hands with itself, in memory: so whatever would fail between processes fails here.

    Args:
        certificate: the process's certificate, and those between it and an authority, in this order.
        key: its private key.
        trusted: where it must be good for both ends of a connection; None where it is for a server alone, and anybody
            may have signed it.

    Raises:
        WrongCertificate: it can't.
    """
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), _client()
    _load(server, certificate, key)
    if trusted is None:
        client.load_verify_locations(certificate)
        client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # trusted as it is, but not when its time is over
    else:
        server.verify_mode = ssl.CERT_REQUIRED
        for side in (server, client):
            side.load_verify_locations(trusted)
        _load(client, certificate, key)
    try:
        _shake_hands(server, client)
    except ssl.SSLCertVerificationError as error:
        against = f" against {trusted}" if trusted else ""
        raise WrongCertificate(f"{certificate} doesn't hold{against}: {error.verify_message}") from None
    except ssl.SSLError as error:
        raise WrongCertificate(f"{certificate} can't be used: {error.reason}") from None


def _client() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # the name is for those who connect to it
    return context


def _load(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    def passphrase() -> str:  # without this, OpenSSL would ask for one at the terminal
        raise WrongCertificate(f"{key} is protected by a passphrase")

    try:
        context.load_cert_chain(certificate, key, passphrase)
    except ssl.SSLError as error:
        reason = error.reason or ""
        if "MISMATCH" in reason or reason == "NO_CERTIFICATE_ASSIGNED":  # the latter: none of the key's kind
            raise WrongCertificate(f"{key} is not the key of {certificate}") from None
        if "PEM" in str(error) or not reason:
            raise WrongCertificate(f"{key} holds no private key (PEM)") from None
        raise WrongCertificate(f"{certificate} can't be used: {reason}") from None


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True)]
    for _ in range(_TURNS):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
