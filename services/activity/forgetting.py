"""Queries by which a person is taken out of the log, and told what it has of them."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Table, case, cast, delete, func, literal_column, or_, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession

from mirage.audit.record import RELATED_PEOPLE
from servicekit.timestamps import utc_now
from services.activity import repository
from services.activity.models import Person, Record
from services.activity.people import alias_of

# Members of a record's text hold commitments where its columns hold ids.
_TEXT = cast(Record.text, JSONB)
_ACCOUNT = "account"


class Row(NamedTuple):
    """A row of a table as JSON has it."""

    values: dict[str, Any]
    position: tuple[Any, ...]  # its primary key


async def destroy_key(session: AsyncSession, person_id: UUID) -> None:
    """Destroys a person's key, and has whatever is told of them later name nobody.

    That they are forgotten is known by an alias, which only who knows the id can tell: so the id itself is gone.
    """
    await repository.lock_log(session)
    await session.execute(delete(Person).where(Person.person_id == person_id))
    row = {"person_id": alias_of(person_id), "key": None, "forgotten_time": utc_now()}
    await session.execute(insert(Person).values(row).on_conflict_do_nothing())


async def forget_some(session: AsyncSession, person_id: UUID, limit: int) -> int:
    """Takes a person's id out of some records' columns; returns of how many, 0 where none is left."""
    name = str(person_id)
    found = [
        select(Record.seq).where(Record.owner_id == person_id).limit(limit),
        select(Record.seq).where(Record.actor_id == person_id).limit(limit),
        select(Record.seq).where(Record.object_id == name, Record.object_type == _ACCOUNT).limit(limit),
    ]
    count = await _take_out(session, set().union(*[await session.scalars(query) for query in found]), person_id)
    if count:
        return count
    named = or_(*(Record.related.contains({member: name}) for member in sorted(RELATED_PEOPLE)))
    related = select(Record.seq).where(named).limit(limit)
    return await _take_out(session, set(await session.scalars(related)), person_id)


async def _take_out(session: AsyncSession, seqs: set[int], person_id: UUID) -> int:
    if not seqs:
        return 0
    name = str(person_id)
    is_account = (Record.object_id == name) & (Record.object_type == _ACCOUNT)
    statement = (
        update(Record)
        .where(Record.seq.in_(seqs))
        .values(
            owner_id=case((Record.owner_id == person_id, None), else_=Record.owner_id),
            actor_id=case((Record.actor_id == person_id, None), else_=Record.actor_id),
            object_id=case((is_account, _TEXT["object_id"].astext), else_=Record.object_id),
        )
        .execution_options(synchronize_session=False)
    )
    await session.execute(statement)
    await session.execute(_TAKE_OUT_OF_RELATED, {"seqs": sorted(seqs), "name": name})
    return len(seqs)


_TAKE_OUT_OF_RELATED = text("""
    UPDATE records SET related = (
        SELECT jsonb_object_agg(
            member.key, CASE WHEN member.value = :name THEN CAST(records.text AS jsonb) #>> ARRAY['related', member.key]
                        ELSE member.value END
        )
        FROM jsonb_each_text(records.related) AS member
    )
    WHERE seq = ANY(:seqs) AND strpos(CAST(related AS text), :name) > 0
""")


async def key_of(session: AsyncSession, person_id: UUID) -> bytes | None:
    """A person's key; None where there is none."""
    return await session.scalar(select(Person.key).where(Person.person_id == person_id))


async def page_of_records(session: AsyncSession, person_id: UUID, after: int, limit: int) -> Sequence[Record]:
    """Records of what a person did, and of what happened to what is theirs, in order, from behind a number."""
    own = select(Record.seq).where(Record.owner_id == person_id, Record.seq > after).order_by(Record.seq).limit(limit)
    done = select(Record.seq).where(Record.actor_id == person_id, Record.seq > after).order_by(Record.seq).limit(limit)
    either = own.subquery().select().union(done.subquery().select())
    query = select(Record).where(Record.seq.in_(either)).order_by(Record.seq).limit(limit)
    return (await session.scalars(query)).all()


async def delete_rows(session: AsyncSession, table: Table, owner: str, person_id: UUID) -> int:
    """Deletes a person's rows of a table; returns how many there were."""
    statement: Any = delete(table).where(table.columns[owner] == person_id).returning(literal_column("1"))
    return len((await session.execute(statement)).all())


async def page_of_rows(
    session: AsyncSession, table: Table, owner: str, person_id: UUID, after: tuple[Any, ...] | None, limit: int
) -> Sequence[Row]:
    """A person's rows of a table by its primary key, from behind one."""
    key = list(table.primary_key.columns)
    query = select(func.to_jsonb(literal_column(f'"{table.name}"')), *key).select_from(table)
    query = query.where(table.columns[owner] == person_id).order_by(*key).limit(limit)
    if after is not None:
        query = query.where(tuple_(*key) > after)
    return [Row(row[0], tuple(row[1:])) for row in await session.execute(query)]
