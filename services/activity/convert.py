"""Events as they are sent, and as the log takes them. Pure."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from mirage.activity.v1 import event_pb2
from servicekit.errors import InvalidRequest, Violation
from servicekit.structs import from_struct
from servicekit.timestamps import from_timestamp

LARGEST_EVENT_BYTES = 256 * 1024

_KIND = re.compile(r"[a-z_]+\.[a-z_]+")
_ID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_LONGEST_TEXT = 200  # characters
_TEXTS = ("kind", "actor_role", "object_type", "object_id", "request_id", "trace_id")
_LARGEST_INTEGER = 2**53 - 1  # what every reader of JSON can tell from its neighbours


@dataclass(frozen=True, slots=True)
class Happening:
    """An event that can be stored."""

    event_id: UUID
    kind: str
    occurred_time: datetime
    actor_id: UUID | None
    actor_role: str
    owner_id: UUID | None
    object_type: str
    object_id: str
    related: dict[str, str]
    attributes: dict[str, Any]
    personal: dict[str, Any]
    request_id: str
    trace_id: str


def happening_of(event: event_pb2.Event) -> Happening:
    """The event in a message.

    Raises:
        InvalidRequest: with every wrong field.
    """
    violations = list(_violations(event))
    attributes, personal = from_struct(event.attributes), from_struct(event.personal)
    related = dict(event.related)
    for name, values in (("attributes", attributes), ("personal", personal), ("related", related)):
        violations += [Violation(name, fault) for fault in dict.fromkeys(_faults(values))]
    if violations:
        raise InvalidRequest(violations)
    return Happening(
        event_id=UUID(event.event_id),
        kind=event.kind,
        occurred_time=from_timestamp(event.occurred_time, "occurred_time"),
        actor_id=UUID(event.actor_id) if event.actor_id else None,
        actor_role=event.actor_role,
        owner_id=UUID(event.owner_id) if event.owner_id else None,
        object_type=event.object_type,
        object_id=event.object_id,
        related=related,
        attributes=_exact(attributes),
        personal=_exact(personal),
        request_id=event.request_id,
        trace_id=event.trace_id,
    )


def _violations(event: event_pb2.Event) -> Iterator[Violation]:
    """What is wrong with the fields that are no free-form objects."""
    if not _ID.fullmatch(event.event_id):
        yield Violation("event_id", "must be an id")
    if not _KIND.fullmatch(event.kind):
        yield Violation("kind", "must be a noun and a verb in lower case, such as job.succeeded")
    if not event.HasField("occurred_time"):
        yield Violation("occurred_time", "must be given")
    else:
        try:
            from_timestamp(event.occurred_time, "occurred_time")
        except InvalidRequest as error:
            yield from error.violations
    for name in ("actor_id", "owner_id"):
        text = getattr(event, name)
        if text and not _ID.fullmatch(text):
            yield Violation(name, "must be a user's id, or empty")
    for name in _TEXTS:
        text = getattr(event, name)
        if len(text) > _LONGEST_TEXT or "\0" in text:
            yield Violation(name, f"must be of at most {_LONGEST_TEXT} characters, none of them null")
    if event.ByteSize() > LARGEST_EVENT_BYTES:
        yield Violation("event", f"must be of at most {LARGEST_EVENT_BYTES} bytes")


def _faults(value: Any) -> Iterator[str]:
    """What JSON or PostgreSQL could not hold."""
    if isinstance(value, str):
        if "\0" in value:
            yield "must hold no null character"
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield "must hold no number that is not finite"
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _faults(name)
            yield from _faults(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _faults(inner)


def _exact(value: Any) -> Any:
    """The value with whole numbers as numbers of JSON: those beyond what a double tells apart stay doubles."""
    if isinstance(value, dict):
        return {name: _exact(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_exact(inner) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST_INTEGER:
        return float(value)
    return value
