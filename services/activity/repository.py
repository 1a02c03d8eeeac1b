"""Every query of the activity service on its log."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.activity.convert import Happening
from services.activity.models import Record

RECORDS_CHANNEL = "activity_records"
"""Where it is announced that there are new records; the payload is `NEW`."""

NEW = "new"

# Whoever adds to the log holds this, so that numbers have no gaps and every record knows the one before it.
_LOCK_LOG = text("SELECT pg_advisory_xact_lock(hashtextextended('activity.records', 0))")
_ANNOUNCE = text("SELECT pg_notify(:channel, :payload)")
# Columns as arrays: one statement, however many rows, and no row of the mapper's.
_ADD = text("""
    INSERT INTO records (
        seq, event_id, service, kind, occurred_time, recorded_time, clock_offset_seconds, actor_id, actor_role,
        owner_id, object_type, object_id, related, attributes, personal, request_id, trace_id
    )
    SELECT
        seq, event_id, :service, kind, occurred_time, :recorded_time, CAST(:offset AS double precision), actor_id,
        actor_role, owner_id, object_type, object_id, related, attributes, personal, request_id, trace_id
    FROM unnest(
        CAST(:seq AS bigint[]), CAST(:event_id AS uuid[]), CAST(:kind AS text[]),
        CAST(:occurred_time AS timestamptz[]), CAST(:actor_id AS uuid[]), CAST(:actor_role AS text[]),
        CAST(:owner_id AS uuid[]), CAST(:object_type AS text[]), CAST(:object_id AS text[]),
        CAST(:related AS jsonb[]), CAST(:attributes AS jsonb[]), CAST(:personal AS jsonb[]),
        CAST(:request_id AS text[]), CAST(:trace_id AS text[])
    ) AS added (
        seq, event_id, kind, occurred_time, actor_id, actor_role, owner_id, object_type, object_id,
        related, attributes, personal, request_id, trace_id
    )
""")
_AS_THEY_ARE = (
    "event_id", "kind", "occurred_time", "actor_id", "actor_role", "owner_id", "object_type", "object_id", "request_id",
    "trace_id",
)  # fmt: skip
_AS_JSON = ("related", "attributes", "personal")


class Head(NamedTuple):
    """The end of the log."""

    seq: int  # of the last record; 0 where there is none
    recorded_time: datetime | None


async def lock_log(session: AsyncSession) -> Head:
    """Keeps others from adding to the log until the transaction ends; returns its end."""
    await session.execute(_LOCK_LOG)
    query = select(Record.seq, Record.recorded_time).order_by(Record.seq.desc()).limit(1)
    last = (await session.execute(query)).first()
    return Head(last.seq, last.recorded_time) if last else Head(0, None)


async def known_events(session: AsyncSession, event_ids: Collection[UUID]) -> set[UUID]:
    """Those of the events that are in the log."""
    found = await session.scalars(select(Record.event_id).where(Record.event_id.in_(event_ids)))
    return set(found)


async def add_records(
    session: AsyncSession,
    happenings: Sequence[Happening],
    *,
    service: str,
    after: int,
    recorded_time: datetime,
    clock_offset_seconds: float | None,
) -> None:
    """Adds records behind the number `after`, in this order, and announces them; the log is locked."""
    columns = {name: [getattr(each, name) for each in happenings] for name in _AS_THEY_ARE}
    columns |= {name: [to_json(getattr(each, name)).decode() for each in happenings] for name in _AS_JSON}
    await session.execute(
        _ADD,
        {
            **columns,
            "seq": list(range(after + 1, after + 1 + len(happenings))),
            "service": service,
            "recorded_time": recorded_time,
            "offset": clock_offset_seconds,
        },
    )
    await session.execute(_ANNOUNCE, {"channel": RECORDS_CHANNEL, "payload": NEW})
