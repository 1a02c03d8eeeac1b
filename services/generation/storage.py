"""What is stored for a user, and which objects rows name: for the quota and the sweeper."""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.sweeping import Named
from services.generation.models import Job, Model


async def stored_bytes(session: AsyncSession, owner_id: UUID | None) -> int:
    """Bytes of an owner's, or everybody's, tables and models; trials' aside, which are there for a while only."""
    tables = select(func.coalesce(func.sum(Job.table_bytes), 0)).where(Job.table_key.is_not(None))
    models = select(func.coalesce(func.sum(Model.object_bytes), 0)).where(Model.hidden.is_(False))
    if owner_id is not None:
        tables, models = tables.where(Job.owner_id == owner_id), models.where(Model.owner_id == owner_id)
    return int(await session.scalar(select(tables.scalar_subquery() + models.scalar_subquery())) or 0)


NAMED = Named(Job.table_key, Model.object_key)
