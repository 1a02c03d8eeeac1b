"""Which device a call comes from, as the gateway tells it."""

import ipaddress
import re
from typing import Any, TypeAlias

import grpc.aio

from services.auth.sessions import Origin

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_MAX_AGENT_LENGTH = 400


def origin_of(context: Context, trusted_proxies: int) -> Origin:
    """The device behind a call: for display and logs only, since whoever calls directly can say anything."""
    metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    agent = metadata.get("x-user-agent") or metadata.get("user-agent") or ""
    address = _forwarded(metadata.get("x-forwarded-for", ""), trusted_proxies) or _peer(context.peer())
    return Origin(agent[:_MAX_AGENT_LENGTH], address)


def _forwarded(header: str, trusted_proxies: int) -> str:
    # The gateway, and each proxy in front of it, appends the address it saw; what stands before, the client said.
    hops = header.split(",")
    return _address(hops[-1 - trusted_proxies].strip()) if len(hops) > trusted_proxies else ""


def _peer(peer: str) -> str:
    """The address in gRPC's name of a peer: `ipv4:127.0.0.1:5000`, `ipv6:%5B::1%5D:5000`."""
    found = re.fullmatch(r"ipv4:(?P<v4>[\d.]+):\d+|ipv6:(?:\[|%5B)(?P<v6>.+?)(?:\]|%5D):\d+", peer)
    return _address(found["v4"] or found["v6"]) if found else ""


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""
