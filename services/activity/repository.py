"""Every query of the activity service on its log."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from mirage.audit.record import GENESIS, Chained
from mirage.audit.record import Record as AuditRecord
from services.activity.models import Person, Record

RECORDS_CHANNEL = "activity_records"
"""Where it is announced that there are new records; the payload is `NEW`."""

NEW = "new"

# Whoever adds to the log holds this, so that numbers have no gaps and every record knows the one before it.
_LOCK_LOG = text("SELECT pg_advisory_xact_lock(hashtextextended('activity.records', 0))")
_ANNOUNCE = text("SELECT pg_notify(:channel, :payload)")
_ADD_PEOPLE = text("""
    INSERT INTO people (person_id, key) SELECT * FROM unnest(CAST(:person_id AS uuid[]), CAST(:key AS bytea[]))
""")
# Columns as arrays: one statement, however many rows, and no row of the mapper's.
_ADD_RECORDS = text("""
    INSERT INTO records (
        seq, event_id, service, kind, occurred_time, recorded_time, clock_offset_seconds, actor_id, actor_role,
        owner_id, object_type, object_id, related, attributes, sealed, request_id, trace_id, text, previous_hash, hash
    )
    SELECT
        seq, event_id, service, kind, occurred_time, recorded_time, clock_offset_seconds,
        actor_id, actor_role, owner_id, object_type, object_id, related, attributes, sealed, request_id, trace_id,
        text, previous_hash, hash
    FROM unnest(
        CAST(:seq AS bigint[]), CAST(:event_id AS uuid[]), CAST(:service AS text[]), CAST(:kind AS text[]),
        CAST(:occurred_time AS timestamptz[]), CAST(:recorded_time AS timestamptz[]),
        CAST(:clock_offset_seconds AS double precision[]), CAST(:actor_id AS uuid[]),
        CAST(:actor_role AS text[]), CAST(:owner_id AS uuid[]), CAST(:object_type AS text[]),
        CAST(:object_id AS text[]), CAST(:related AS jsonb[]), CAST(:attributes AS jsonb[]), CAST(:sealed AS bytea[]),
        CAST(:request_id AS text[]), CAST(:trace_id AS text[]), CAST(:text AS text[]),
        CAST(:previous_hash AS bytea[]), CAST(:hash AS bytea[])
    ) AS added (
        seq, event_id, service, kind, occurred_time, recorded_time, clock_offset_seconds, actor_id, actor_role,
        owner_id, object_type, object_id, related, attributes, sealed, request_id, trace_id, text, previous_hash, hash
    )
""")
_AS_THEY_ARE = (
    "seq", "event_id", "service", "kind", "occurred_time", "recorded_time", "clock_offset_seconds",
    "actor_role", "object_type", "object_id", "sealed", "request_id", "trace_id",
)  # fmt: skip
_PEOPLE = ("actor_id", "owner_id")  # empty where there is nobody
_AS_JSON = ("related", "attributes")
_OF_THE_CHAIN = ("text", "previous_hash", "hash")


class Head(NamedTuple):
    """The end of the log."""

    seq: int  # of the last record; 0 where there is none
    hash: bytes
    recorded_time: datetime | None


async def lock_log(session: AsyncSession) -> Head:
    """Keeps others from adding to the log until the transaction ends; returns its end."""
    await session.execute(_LOCK_LOG)
    query = select(Record.seq, Record.hash, Record.recorded_time).order_by(Record.seq.desc()).limit(1)
    last = (await session.execute(query)).first()
    return Head(last.seq, last.hash, last.recorded_time) if last else Head(0, GENESIS, None)


async def known_events(session: AsyncSession, event_ids: Collection[UUID]) -> set[UUID]:
    """Those of the events that are in the log."""
    found = await session.scalars(select(Record.event_id).where(Record.event_id.in_(event_ids)))
    return set(found)


async def keys_of(session: AsyncSession, people: Collection[UUID]) -> dict[UUID, bytes | None]:
    """The keys of people who are known; None of who was forgotten."""
    found = await session.execute(select(Person.person_id, Person.key).where(Person.person_id.in_(people)))
    return {row.person_id: row.key for row in found}


async def add_people(session: AsyncSession, keys: Mapping[UUID, bytes]) -> None:
    """Keeps the keys of people who weren't known; the log is locked."""
    await session.execute(_ADD_PEOPLE, {"person_id": list(keys.keys()), "key": list(keys.values())})


async def add_records(session: AsyncSession, records: Sequence[AuditRecord], chain: Sequence[Chained]) -> None:
    """Adds records with their places in the chain, and announces them; the log is locked."""
    columns: dict[str, list[object]] = {name: [getattr(each, name) for each in records] for name in _AS_THEY_ARE}
    columns |= {name: [getattr(each, name) or None for each in records] for name in _PEOPLE}
    columns |= {name: [to_json(getattr(each, name)).decode() for each in records] for name in _AS_JSON}
    columns |= {name: [getattr(each, name) for each in chain] for name in _OF_THE_CHAIN}
    await session.execute(_ADD_RECORDS, columns)
    await session.execute(_ANNOUNCE, {"channel": RECORDS_CHANNEL, "payload": NEW})
