"""What is stored for a user, and which objects rows name: for the quota and the sweeper."""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.sweeping import Named
from services.dataset.models import Dataset, Version


async def stored_bytes(session: AsyncSession, owner_id: UUID | None) -> int:
    """Bytes of an owner's, or everybody's, files and tables; a file that versions have in common counts once."""
    owned = select(Version)
    if owner_id is not None:
        owned = owned.join(Dataset, Dataset.id == Version.dataset_id).where(Dataset.owner_id == owner_id)
    files = owned.with_only_columns(Version.source_key, Version.source_bytes).distinct().subquery()
    tables = owned.with_only_columns(func.coalesce(func.sum(Version.table_bytes), 0)).scalar_subquery()
    query = select(func.coalesce(func.sum(files.c.source_bytes), 0) + tables)
    return int(await session.scalar(query) or 0)


NAMED = Named(Version.source_key, Version.table_key)
