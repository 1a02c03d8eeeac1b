"""Queries by which administrators read the log: by number, the latest first, however long it and a range are."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from services.activity.models import Person, Record


class LogFilter(NamedTuple):
    """Which records to show; what is empty doesn't matter."""

    actor_id: UUID | None = None
    owner_id: UUID | None = None
    kinds: tuple[str, ...] = ()  # any of these
    object_type: str = ""
    object_id: str = ""
    since: datetime | None = None
    until: datetime | None = None


async def page(session: AsyncSession, wanted: LogFilter, before: int | None, limit: int) -> Sequence[Record]:
    """Records, the latest first, from behind the number `before`."""
    conditions = await _conditions(session, wanted, before)
    if conditions is None:
        return ()
    # Each kind by its own index: how rare it is among all the others doesn't matter.
    of_each = [
        select(Record.seq).where(Record.kind == kind, *conditions).order_by(Record.seq.desc()).limit(limit).subquery()
        for kind in wanted.kinds
    ]
    query = select(Record).order_by(Record.seq.desc()).limit(limit)
    if of_each:
        query = query.where(Record.seq.in_(union_all(*(each.select() for each in of_each))))
    else:
        query = query.where(*conditions)
    return (await session.scalars(query)).all()


async def keys_of(session: AsyncSession, people: Collection[UUID]) -> Mapping[UUID, bytes]:
    """The keys of people, as far as there are."""
    query = select(Person.person_id, Person.key).where(Person.person_id.in_(people), Person.key.is_not(None))
    return {person_id: key for person_id, key in await session.execute(query) if key is not None}


async def _conditions(session: AsyncSession, wanted: LogFilter, before: int | None) -> list[ColumnElement[bool]] | None:
    """What holds of the wanted records; None where none can be.

    Times ascend with numbers, so a range of time is a range of numbers, which every index knows.
    """
    conditions: list[ColumnElement[bool]] = []
    if before is not None:
        conditions.append(Record.seq < before)
    if wanted.since is not None:
        first = select(Record.seq).where(Record.recorded_time >= wanted.since)
        seq = await session.scalar(first.order_by(Record.recorded_time, Record.seq).limit(1))
        if seq is None:
            return None
        conditions.append(Record.seq >= seq)
    if wanted.until is not None:
        last = select(Record.seq).where(Record.recorded_time < wanted.until)
        seq = await session.scalar(last.order_by(Record.recorded_time.desc(), Record.seq.desc()).limit(1))
        if seq is None:
            return None
        conditions.append(Record.seq <= seq)
    if wanted.actor_id is not None:
        conditions.append(Record.actor_id == wanted.actor_id)
    if wanted.owner_id is not None:
        conditions.append(Record.owner_id == wanted.owner_id)
    if wanted.object_type:
        conditions.append(Record.object_type == wanted.object_type)
    if wanted.object_id:
        conditions.append(Record.object_id == wanted.object_id)
    return conditions
