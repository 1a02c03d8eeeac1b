"""Which device a call comes from, as the gateway tells it."""

from typing import Any, TypeAlias

import grpc.aio

from servicekit.origin import client_address
from services.auth.sessions import Origin

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_MAX_AGENT_LENGTH = 400


def origin_of(context: Context) -> Origin:
    """The device behind a call."""
    metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    agent = metadata.get("x-user-agent") or metadata.get("user-agent") or ""
    return Origin(agent[:_MAX_AGENT_LENGTH], client_address())
