"""Tickets: tokens that open one stream, for browsers, whose EventSource can't send an access token.

A ticket's audience is another than an access token's, so that whoever checks the one refuses the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from servicekit.errors import Unauthenticated

HEADER = "x-stream-ticket"
"""Where the gateway puts what came as `?ticket=`."""

CLAIM = "stream"


def ticket_audience(audience: str) -> str:
    """The audience of tickets, where this is that of access tokens."""
    return f"{audience}/streams"


@dataclass(frozen=True)
class TicketedStream:
    """The one call that a ticket is good for."""

    method: str  # /package.Service/Method
    fields: Mapping[str, str]  # what the request must hold, such as `job_id`; the rest of it is free

    @property
    def claim(self) -> dict[str, Any]:
        """What a ticket says of it."""
        return {"rpc": self.method, "fields": dict(self.fields)}

    def require(self, method: str, request: Any) -> None:
        """Lets only this call pass.

        Raises:
            Unauthenticated: it is another one.
        """
        if method != self.method or any(getattr(request, name) != value for name, value in self.fields.items()):
            raise Unauthenticated("The ticket is for another stream. POST /auth/stream-ticket gives one for this.")


def stream_in(claims: Mapping[str, Any]) -> TicketedStream:
    """The stream that a ticket's verified claims name.

    Raises:
        ValueError: they name none.
    """
    match claims.get(CLAIM):
        case {"rpc": str(method), "fields": dict(fields)} if fields:
            return TicketedStream(method, {str(name): str(value) for name, value in fields.items()})
    raise ValueError("a ticket must name its stream")
