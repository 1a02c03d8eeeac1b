"""Pages of the log for administrators: opaque tokens outside, numbers inside."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from mirage.activity.v1 import log_pb2
from mirage.audit.people import NotOpened, unseal
from servicekit import limits
from servicekit.errors import InvalidRequest, Violation
from servicekit.event_kinds import KNOWN
from servicekit.paging import decode_page_token, encode_page_token, page_limit
from servicekit.structs import to_struct
from servicekit.timestamps import from_timestamp, to_timestamp
from services.activity import log_repository
from services.activity.log_repository import LogFilter
from services.activity.models import Record
from services.activity.people import NOBODY

_KIND = re.compile(r"[a-z_]+\.[a-z_]+")
_ACCOUNT = "account"


def filter_of(request: log_pb2.ListLogRecordsRequest) -> LogFilter:
    """What a request wants to see.

    Raises:
        InvalidRequest: with every wrong field.
    """
    violations = list(limits.violations(request))
    wrong = {violation.field for violation in violations}
    times: dict[str, Any] = {}
    for name in ("since", "until"):
        if request.HasField(name):
            try:
                times[name] = from_timestamp(getattr(request, name), name)
            except InvalidRequest as error:
                violations += error.violations
    if len(times) == 2 and times["until"] <= times["since"]:
        violations.append(Violation("until", "must be later than since"))
    kinds: tuple[str, ...] = ()
    if request.action and "action" not in wrong:
        try:
            kinds = _kinds(request.action)
        except ValueError as error:
            violations.append(Violation("action", str(error)))
    if violations:
        raise InvalidRequest(violations)
    return LogFilter(
        actor_id=UUID(request.actor_id) if request.actor_id else None,
        owner_id=UUID(request.owner_id) if request.owner_id else None,
        kinds=kinds,
        object_type=request.object_type,
        object_id=request.object_id,
        **times,
    )


async def page(
    session: AsyncSession, wanted: LogFilter, page_size: int, page_token: str
) -> tuple[Sequence[log_pb2.LogRecord], str]:
    """A page of records, the latest first, and the token of the next page; empty if there is none.

    Raises:
        InvalidRequest: the page's size is negative, or the token is none of this query's.
    """
    query = {"list": "log", **wanted._asdict()}
    limit = page_limit(page_size)
    key = decode_page_token(page_token, query)
    before = None if key is None else key.get("seq")
    if key is not None and (not isinstance(before, int) or isinstance(before, bool) or not 0 < before < 2**63):
        raise InvalidRequest([Violation("page_token", "must be a next_page_token, unchanged")])
    found = await log_repository.page(session, wanted, before, limit + 1)
    shown = found[:limit]
    keys = await log_repository.keys_of(session, {person for record in shown for person in _people(record)})
    token = encode_page_token(query, {"seq": shown[-1].seq}) if len(found) > limit else ""
    return [_to_proto(record, keys) for record in shown], token


def _kinds(action: str) -> tuple[str, ...]:
    """The kinds that an action names: itself, or all of a noun.

    Raises:
        ValueError: there is no such noun.
    """
    if _KIND.fullmatch(action):  # known or not: the log keeps others, too
        return (action,)
    kinds = tuple(sorted(kind for kind in KNOWN if kind.partition(".")[0] == action))
    if not kinds:
        nouns = ", ".join(sorted({kind.partition(".")[0] for kind in KNOWN}))
        raise ValueError(f"must be a kind such as job.approved, or one of {nouns}")
    return kinds


def _people(record: Record) -> set[UUID]:
    """Under whose keys what a record says of people may be."""
    people = {record.owner_id, record.actor_id, UUID(NOBODY)} - {None}
    if record.object_type == _ACCOUNT:
        with suppress(ValueError):  # of somebody who is forgotten
            people.add(UUID(record.object_id))
    return {person for person in people if person is not None}


def _to_proto(record: Record, keys: Mapping[UUID, bytes]) -> log_pb2.LogRecord:
    return log_pb2.LogRecord(
        seq=record.seq,
        kind=record.kind,
        occurred_time=to_timestamp(record.occurred_time),
        recorded_time=to_timestamp(record.recorded_time),
        service=record.service,
        actor_id=str(record.actor_id or ""),
        actor_role=record.actor_role,
        owner_id=str(record.owner_id or ""),
        object_type=record.object_type,
        object_id=record.object_id,
        related=record.related,
        attributes=to_struct(record.attributes),
        personal=to_struct(_opened(record, keys)),
        request_id=record.request_id,
        trace_id=record.trace_id,
    )


def _opened(record: Record, keys: Mapping[UUID, bytes]) -> dict[str, Any]:
    """What names somebody in a record; nothing where there is no key any more."""
    if not record.sealed:
        return {}
    for person in _people(record) & keys.keys():
        try:
            return unseal(record.sealed, keys[person], str(record.event_id))
        except NotOpened:  # another's
            continue
    return {}
