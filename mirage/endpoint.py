"""The address of a platform."""

import os
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from mirage.errors import InvalidRequest

DEFAULT_URL = "http://localhost:8080"
URL_VARIABLE = "MIRAGE_URL"
CA_VARIABLE = "MIRAGE_CA_FILE"


@dataclass(frozen=True)
class Endpoint:
    """A platform's address, in the one spelling that credentials are kept under."""

    url: str
    """`scheme://host:port`, lower-case."""
    target: str
    """`host:port`, as gRPC takes it."""
    secure: bool
    """Whether it is reached through TLS."""
    loopback: bool
    """Whether it is this machine."""


def parse(url: str | None = None) -> Endpoint:
    """Returns the platform at `url`, or where the environment says, or the one of `make run`.

    Raises:
        InvalidRequest: if it isn't `http://host[:port]`, `https://host[:port]` or `host[:port]`.
    """
    given = url or os.environ.get(URL_VARIABLE) or DEFAULT_URL
    parts = urlsplit(given if "://" in given else f"http://{given}")
    try:
        port = parts.port
    except ValueError as error:
        raise _wrong(given, str(error)) from None
    if parts.scheme not in ("http", "https"):
        raise _wrong(given, f"it starts with {parts.scheme}://")
    if not parts.hostname or parts.username or parts.query or parts.fragment or parts.path not in ("", "/"):
        raise _wrong(given, "only a host and a port can be given")
    secure = parts.scheme == "https"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    target = f"{host}:{port or (443 if secure else 80)}"
    return Endpoint(
        url=f"{parts.scheme}://{target}", target=target, secure=secure, loopback=_is_loopback(parts.hostname)
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _wrong(url: str, fault: str) -> InvalidRequest:
    return InvalidRequest(
        f"{url!r} is not a platform's address: {fault}.",
        reason="INVALID_URL",
        hint="Give one such as http://localhost:8080 or https://mirage.example.org.",
    )
