"""Tickets for streams: a browser's EventSource sends no access token, but it can ask for a URL with a ticket in it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import unquote

from google.api import annotations_pb2, http_pb2
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor

from mirage.activity.v1 import notification_pb2
from mirage.dataset.v1 import dataset_pb2
from mirage.generation.v1 import job_pb2
from mirage.optimizer.v1 import study_pb2
from servicekit.access import AccessRules
from servicekit.errors import InsufficientScope, InvalidRequest, PermissionDenied, Violation
from servicekit.identity import Caller
from servicekit.tickets import TicketedStream
from servicekit.timestamps import utc_now
from services.auth.tokens import AccessTokens

LIFETIME = timedelta(minutes=1)

# The RPC services whose streams of events have a route.
STREAMING_SERVICES = (
    notification_pb2.DESCRIPTOR.services_by_name["NotificationService"].full_name,
    dataset_pb2.DESCRIPTOR.services_by_name["DatasetService"].full_name,
    job_pb2.DESCRIPTOR.services_by_name["JobService"].full_name,
    study_pb2.DESCRIPTOR.services_by_name["StudyService"].full_name,
)

_RAW = "google.api.HttpBody"
_VARIABLE = re.compile(r"\{([a-z_]+)\}")
_PREFIX = re.compile(r"^/api(?:/v1)?(?=/)")


@dataclass(frozen=True)
class Ticket:
    """A ticket, and what it opens."""

    text: str
    url: str
    expires_at: datetime
    expires_in_s: int


class StreamTickets:
    """Gives tickets."""

    def __init__(self, access_tokens: AccessTokens) -> None:
        self._access_tokens = access_tokens
        self._routes = tuple(_routes(STREAMING_SERVICES))
        self._rules = AccessRules(STREAMING_SERVICES)

    def create(self, caller: Caller, stream: str) -> Ticket:
        """A ticket by which whoever holds it opens one stream as the caller would.

        Whether the stream exists, and is the caller's, its own service says when it is opened.

        Raises:
            InvalidRequest: there is no such stream.
            PermissionDenied: the stream isn't for the caller's role.
            InsufficientScope: the caller's token is limited to scopes that the stream doesn't take.
        """
        found = self._found(stream)
        if not self._rules.may_call(found.method, caller.role):
            raise PermissionDenied
        needed = self._rules.scopes_for(found.method)
        if caller.scopes is not None and not caller.scopes & needed:
            raise InsufficientScope(needed)
        now = utc_now()
        token = self._access_tokens.for_stream(caller=caller, stream=found, now=now, lifetime=LIFETIME)
        return Ticket(token.token, f"{stream}?ticket={token.token}", now + LIFETIME, token.expires_in_s)

    def _found(self, path: str) -> TicketedStream:
        bare = _PREFIX.sub("", path)
        for route in self._routes:
            if match := route.pattern.fullmatch(bare):
                return TicketedStream(route.method, {name: unquote(value) for name, value in match.groupdict().items()})
        known = ", ".join(route.template for route in self._routes)
        raise InvalidRequest([Violation("stream", f"must be the path of a stream, without a query: {known}")])


@dataclass(frozen=True)
class _Route:
    """A route that answers with a stream of events."""

    method: str
    template: str
    pattern: re.Pattern[str]


def _routes(service_names: Sequence[str]) -> Iterator[_Route]:
    pool = descriptor_pool.Default()
    for name in service_names:
        for method in pool.FindServiceByName(name).methods:
            if method.server_streaming and not method.client_streaming and method.output_type.full_name != _RAW:
                for template in _templates(method):
                    parts = _VARIABLE.split(template)  # literals and variables by turns
                    pattern = "".join(
                        f"(?P<{part}>[^/?#]+)" if index % 2 else re.escape(part) for index, part in enumerate(parts)
                    )
                    yield _Route(f"/{name}/{method.name}", template, re.compile(pattern))


def _templates(method: MethodDescriptor) -> Iterator[str]:
    rule: http_pb2.HttpRule = method.GetOptions().Extensions[annotations_pb2.http]
    for binding in (rule, *rule.additional_bindings):
        if binding.get:
            yield binding.get
