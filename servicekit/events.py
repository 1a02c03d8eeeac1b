"""What happens, as the platform's log is told of it: an event, made where the change is made."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any
from uuid import UUID

import structlog

from mirage.activity.v1 import event_pb2
from servicekit import trace_context
from servicekit.event_kinds import EventKind
from servicekit.identity import Caller, current_caller
from servicekit.ids import new_id
from servicekit.structs import to_struct
from servicekit.timestamps import to_timestamp, utc_now

_LARGEST_EXACT = 2**53 - 1  # a Struct's numbers are doubles


def happened(
    kind: EventKind,
    object_type: str = "",
    object_id: UUID | str = "",
    *,
    owner_id: UUID | str | None = None,
    actor_id: UUID | str | None = None,
    actor_role: str = "",
    related: Mapping[str, UUID | str | None] | None = None,
    attributes: Mapping[str, Any] | None = None,
    personal: Mapping[str, Any] | None = None,
    request_id: str | None = None,
) -> event_pb2.Event:
    """An event that happens now, in the call that is being served, where there is one.

    Who did it is the caller, unless `actor_id` says who: where nobody is signed in, or a process goes on by itself with
    what somebody asked for. Another service that calls is told as its role; it is nobody.

    Args:
        kind: what happened.
        object_type: what it happened to, such as `job`.
        object_id: its id.
        owner_id: whose it is.
        actor_id: who did it, if not the caller.
        actor_role: their role, if not the caller's.
        related: other objects' ids; those that are None are left out.
        attributes: facts that name nobody; those that are None are left out.
        personal: facts that may name somebody; those that are None or empty are left out.
        request_id: the request in which it began, if not the call that is being served.
    """
    context = structlog.contextvars.get_contextvars()
    caller = current_caller() if actor_id is None else None
    return event_pb2.Event(
        event_id=str(new_id()),
        kind=kind.value,
        occurred_time=to_timestamp(utc_now()),
        actor_id=_text(actor_id or _person(caller)),
        actor_role=actor_role or (caller.role.value if caller else ""),
        owner_id=_text(owner_id),
        object_type=object_type,
        object_id=_text(object_id),
        related={name: str(value) for name, value in (related or {}).items() if value},
        attributes=to_struct({name: _plain(value) for name, value in (attributes or {}).items() if value is not None}),
        personal=to_struct({name: _plain(value) for name, value in (personal or {}).items() if value}),
        request_id=_text(request_id or context.get("request_id")),
        trace_id=_text(trace_context.trace_id()),
    )


def version_id(dataset_id: UUID | str, number: int) -> str:
    """By which a version of a dataset is named in the log: versions have numbers, and no ids of their own."""
    return f"{dataset_id}:{number}"


def _person(caller: Caller | None) -> str:
    return caller.subject if caller is not None and not caller.is_service else ""


def _text(value: object) -> str:
    return str(value) if value else ""


def _plain(value: Any) -> Any:
    """What a Struct holds; whatever it has no form for is told as text, since no change may fail for being told."""
    if isinstance(value, Enum):
        return _plain(value.value)
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST_EXACT else str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    return str(value)
