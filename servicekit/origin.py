"""Where a call comes from, as the gateway tells it."""

import ipaddress
import re
from collections.abc import Mapping
from contextvars import ContextVar

_address: ContextVar[str] = ContextVar("client_address", default="")


def client_address() -> str:
    """The network address that this call comes from; empty if it isn't known."""
    return _address.get()


def set_client_address(address: str) -> None:
    """Tells the rest of this call where it comes from; for the interceptor."""
    _address.set(address)


def address_of(metadata: Mapping[str, str], peer: str) -> str:
    """The address behind a call: what the gateway says, else the peer itself.

    The gateway drops what clients say of themselves and sends the one address that it saw, or that a proxy it trusts
    saw; so the last one is the real one. Whoever reaches a service's port without the gateway can say anything.

    Args:
        metadata: the call's metadata.
        peer: gRPC's name of the other end: `ipv4:127.0.0.1:5000`, `ipv6:%5B::1%5D:5000`.
    """
    return _parsed(metadata.get("x-forwarded-for", "").rpartition(",")[2].strip()) or _of_peer(peer)


def network_of(address: str) -> str:
    """What one client can be told apart by: an IPv4 address, or the 64 bits of an IPv6 network that one host has."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), 64), strict=False))


def _of_peer(peer: str) -> str:
    found = re.fullmatch(r"ipv4:(?P<v4>[\d.]+):\d+|ipv6:(?:\[|%5B)(?P<v6>.+?)(?:\]|%5D):\d+", peer)
    return _parsed(found["v4"] or found["v6"]) if found else ""


def _parsed(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""
