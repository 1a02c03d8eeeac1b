"""Queries about all that is one user's, whether it is shown in lists or not."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.timestamps import utc_now
from services.generation.models import IdempotencyKey, Job, Model
from services.generation.repository import LOOSE_OBJECTS
from services.generation.states import Purpose


async def page_jobs(
    session: AsyncSession, owner_id: UUID, purpose: Purpose, *, after: UUID | None, limit: int
) -> Sequence[Job]:
    """An owner's jobs of a purpose, the oldest first, from behind the one with the id `after`."""
    query = select(Job).where(Job.owner_id == owner_id, Job.purpose == purpose).order_by(Job.id).limit(limit)
    return (await session.scalars(query if after is None else query.where(Job.id > after))).all()


async def page_models(session: AsyncSession, owner_id: UUID, *, after: UUID | None, limit: int) -> Sequence[Model]:
    """An owner's models, the oldest first, from behind the one with the id `after`."""
    query = select(Model).where(Model.owner_id == owner_id, Model.hidden.is_(False)).order_by(Model.id).limit(limit)
    return (await session.scalars(query if after is None else query.where(Model.id > after))).all()


async def lock_models(session: AsyncSession, owner_id: UUID, limit: int) -> Sequence[Model]:
    """Some of an owner's models, hidden ones too, locked."""
    query = select(Model).where(Model.owner_id == owner_id).order_by(Model.id).limit(limit)
    return (await session.scalars(query.with_for_update())).all()


async def lock_jobs(session: AsyncSession, owner_id: UUID, limit: int) -> Sequence[Job]:
    """Some of an owner's jobs and trials, locked; first those that wait, so that none begins in another's place."""
    query = select(Job).where(Job.owner_id == owner_id).order_by(Job.queue_id.is_not(None), Job.id.desc()).limit(limit)
    return (await session.scalars(query.execution_options(populate_existing=True).with_for_update())).all()


async def delete_jobs(session: AsyncSession, doomed: Sequence[Job]) -> None:
    """Deletes locked jobs with their events and reports; their tables are due for removal."""
    await LOOSE_OBJECTS.loosen(session, [job.table_key for job in doomed if job.table_key], utc_now())
    await session.execute(delete(Job).where(Job.id.in_([job.id for job in doomed])))
    for job in doomed:
        session.expunge(job)


async def delete_models(session: AsyncSession, doomed: Sequence[Model]) -> None:
    """Deletes locked models; their objects are due for removal."""
    ids = [model.id for model in doomed]
    await LOOSE_OBJECTS.loosen(session, [model.object_key for model in doomed], utc_now())
    await session.execute(update(Job).where(Job.model_id.in_(ids)).values(model_id=None))
    await session.execute(delete(Model).where(Model.id.in_(ids)))
    for model in doomed:
        session.expunge(model)


async def forget_keys_of(session: AsyncSession, owner_id: UUID) -> None:
    """Forgets an owner's idempotency keys."""
    await session.execute(delete(IdempotencyKey).where(IdempotencyKey.owner_id == owner_id))
