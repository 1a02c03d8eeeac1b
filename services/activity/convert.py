"""Events as they are sent, and as the log takes them. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from mirage.activity.v1 import event_pb2
from mirage.audit.canonical import normalised
from mirage.audit.record import RELATED_PEOPLE, people_of
from servicekit.errors import InvalidRequest, Violation
from servicekit.structs import from_struct
from servicekit.timestamps import from_timestamp

LARGEST_EVENT_BYTES = 256 * 1024

_KIND = re.compile(r"[a-z_]+\.[a-z_]+")
_ID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_LONGEST_TEXT = 200  # characters
_TEXTS = ("kind", "actor_role", "object_type", "object_id", "request_id", "trace_id")
_ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class Happening:
    """An event that can be stored; ids are as the log spells them, JSON values as it keeps them."""

    event_id: UUID
    kind: str
    occurred_time: datetime
    actor_id: str
    actor_role: str
    owner_id: str
    object_type: str
    object_id: str
    related: dict[str, str]
    attributes: dict[str, Any]
    personal: dict[str, Any]
    request_id: str
    trace_id: str

    @property
    def people(self) -> frozenset[str]:
        """The ids of the people whom it names."""
        return people_of(self.actor_id, self.owner_id, self.object_type, self.object_id, self.related)

    @property
    def person(self) -> str:
        """The id of the person whom what is personal belongs to; empty where nobody is known."""
        return self.owner_id or (self.object_id if self.object_type == _ACCOUNT else "") or self.actor_id


def happening_of(event: event_pb2.Event) -> Happening:
    """The event in a message. What JSON or PostgreSQL have no spelling for, in its free-form facts, is told as text.

    Raises:
        InvalidRequest: with every wrong field.
    """
    if violations := list(_violations(event)):
        raise InvalidRequest(violations)
    return Happening(
        event_id=UUID(event.event_id),
        kind=event.kind,
        occurred_time=from_timestamp(event.occurred_time, "occurred_time"),
        actor_id=event.actor_id.lower(),
        actor_role=event.actor_role,
        owner_id=event.owner_id.lower(),
        object_type=event.object_type,
        object_id=event.object_id.lower() if event.object_type == _ACCOUNT else event.object_id,
        related=normalised(_related(event)),
        attributes=normalised(from_struct(event.attributes)),
        personal=normalised(from_struct(event.personal)),
        request_id=event.request_id,
        trace_id=event.trace_id,
    )


def _related(event: event_pb2.Event) -> dict[str, str]:
    return {name: text.lower() if name in RELATED_PEOPLE else text for name, text in event.related.items()}


def _violations(event: event_pb2.Event) -> Iterator[Violation]:
    if not _KIND.fullmatch(event.kind):
        yield Violation("kind", "must be a noun and a verb in lower case, such as job.succeeded")
    for name, text in _ids(event):
        if not _ID.fullmatch(text):
            yield Violation(name, "must be an id")
    yield from _violations_of_time(event)
    for name in _TEXTS:
        text = getattr(event, name)
        if len(text) > _LONGEST_TEXT or "\0" in text:
            yield Violation(name, f"must be of at most {_LONGEST_TEXT} characters, none of them null")
    if event.ByteSize() > LARGEST_EVENT_BYTES:
        yield Violation("event", f"must be of at most {LARGEST_EVENT_BYTES} bytes")


def _ids(event: event_pb2.Event) -> Iterator[tuple[str, str]]:
    """The texts that must be ids, by where they are."""
    yield "event_id", event.event_id
    if event.actor_id:
        yield "actor_id", event.actor_id
    if event.owner_id:
        yield "owner_id", event.owner_id
    if event.object_type == _ACCOUNT:
        yield "object_id", event.object_id
    for name in event.related:
        if name in RELATED_PEOPLE:
            yield f"related.{name}", event.related[name]


def _violations_of_time(event: event_pb2.Event) -> Iterator[Violation]:
    if not event.HasField("occurred_time"):
        yield Violation("occurred_time", "must be given")
        return
    try:
        from_timestamp(event.occurred_time, "occurred_time")
    except InvalidRequest as error:
        yield from error.violations
