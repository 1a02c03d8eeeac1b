"""Every query on the log as evidence: rows as they are kept, checkpoints, and what hangs together."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, cast, func, literal, or_, select, text
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession

from mirage.audit.checking import PeoplesKeys, Row
from services.activity.models import Checkpoint, Person, Record
from services.activity.people import alias_of

_COLUMNS = ", ".join(
    f"{name}::text" if name in {"related", "attributes"} else name for name in Row._fields
)  # JSON as the database spells it
_ROWS = f"SELECT {_COLUMNS} FROM records WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3"  # noqa: S608 - our own names
_LOCK_CHECKPOINTS = text("SELECT pg_advisory_xact_lock(hashtextextended('activity.checkpoints', 0))")

# Members of `related` that name an object; those are what the log is asked by.
OBJECTS = ("dataset_id", "dataset_version_id", "job_id", "model_id", "table_id", "report_id", "study_id")


async def rows(session: AsyncSession, after: int, through: int, limit: int) -> Sequence[Row]:
    """Records as they are kept, in their order, from behind the number `after` through another one."""
    # Past the mapper: a million of them are to be read in seconds.
    connection = await (await session.connection()).get_raw_connection()
    driver: Any = connection.driver_connection
    return [Row._make(row) for row in await driver.fetch(_ROWS, after, through, limit)]


async def last_seq(session: AsyncSession) -> int:
    """The number of the last record; 0 where there is none."""
    return await session.scalar(select(func.max(Record.seq))) or 0


async def keys_of_people(session: AsyncSession, people: Collection[UUID] | None = None) -> PeoplesKeys:
    """The keys of everybody, or of these people; and who was forgotten."""
    query = select(Person.person_id, Person.key)
    if people is not None:
        query = query.where(Person.person_id.in_([*people, *map(alias_of, people)]))
    found = (await session.execute(query)).all()
    aliases = {row.person_id for row in found if row.key is None}
    return PeoplesKeys(
        {str(row.person_id): row.key for row in found if row.key is not None},
        lambda person_id: bool(aliases) and _alias(person_id) in aliases,
    )


async def key_of_person(session: AsyncSession, person_id: UUID) -> bytes | None:
    """A person's key; None where there is none."""
    return await session.scalar(select(Person.key).where(Person.person_id == person_id))


async def lock_checkpoints(session: AsyncSession) -> None:
    """Keeps others from signing until the transaction ends."""
    await session.execute(_LOCK_CHECKPOINTS)


async def newest_checkpoint(session: AsyncSession) -> Checkpoint | None:
    """The checkpoint that covers the most."""
    return await session.scalar(select(Checkpoint).order_by(Checkpoint.size.desc()).limit(1))


async def checkpoints(session: AsyncSession) -> Sequence[Checkpoint]:
    """Every checkpoint, by its size."""
    return (await session.scalars(select(Checkpoint).order_by(Checkpoint.size))).all()


async def checkpoints_around(session: AsyncSession, seq: int) -> tuple[Checkpoint | None, Checkpoint | None]:
    """The last checkpoint before a record, and the first that covers it."""
    before = select(Checkpoint).where(Checkpoint.size < seq).order_by(Checkpoint.size.desc()).limit(1)
    covering = select(Checkpoint).where(Checkpoint.size >= seq).order_by(Checkpoint.size).limit(1)
    return await session.scalar(before), await session.scalar(covering)


async def add_checkpoint(session: AsyncSession, size: int, token: str) -> None:
    """Keeps a checkpoint; checkpoints are locked."""
    await session.execute(insert(Checkpoint).values(size=size, token=token))


async def hashes(session: AsyncSession, after: int, through: int) -> Sequence[bytes]:
    """The hashes of records, from behind a number through another one."""
    query = select(Record.hash).where(Record.seq > after, Record.seq <= through).order_by(Record.seq)
    return (await session.scalars(query)).all()


async def records_naming(
    session: AsyncSession, objects: Collection[str], *, owner_id: UUID | None, limit: int
) -> Sequence[Record]:
    """The first records that are of one of some objects or relate to it; of an owner's alone unless that is None."""
    query = _by_seq(or_(Record.object_id.in_(objects), _relates_to(objects)), limit)
    if owner_id is not None:
        query = query.where(Record.owner_id == owner_id)
    return (await session.scalars(query)).all()


async def records_of(
    session: AsyncSession, objects: Collection[str], object_types: Collection[str], limit: int
) -> Sequence[Record]:
    """The first records of some objects of these types, whoever's they are."""
    wanted = and_(Record.object_type.in_(object_types), or_(Record.object_id.in_(objects), _relates_to(objects)))
    return (await session.scalars(_by_seq(wanted, limit))).all()


def _by_seq(wanted: ColumnElement[bool], limit: int) -> Select[Record]:
    return select(Record).where(wanted).order_by(Record.seq).limit(limit)


def _relates_to(objects: Collection[str]) -> ColumnElement[bool]:
    return or_(
        *(Record.related.contains(cast(literal({name: each}, JSONB), JSONB)) for each in objects for name in OBJECTS)
    )


def _alias(person_id: str) -> UUID | None:
    try:
        return alias_of(UUID(person_id))
    except ValueError:  # of an object that is nobody, or what was put there by force
        return None
