"""What happens to a dataset while it is read in, as rows that are announced in the transaction that writes them."""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.timestamps import utc_now
from services.dataset import repository
from services.dataset.models import Dataset, DatasetEvent, Version
from services.dataset.states import Stage, State

CHANNEL = "dataset_events"
"""Announcements carry a dataset's id."""


async def record(
    session: AsyncSession,
    dataset: Dataset,
    version: Version,
    stage: Stage,
    *,
    progress: float = 0.0,
    rows_read: int = 0,
) -> None:
    """Writes what is done with a version now as the next event, and announces it when the transaction commits.

    The caller holds the dataset's row lock (or has just made the row), so that numbers have no gaps.
    """
    dataset.last_seq += 1
    dataset.updated_at = utc_now()
    await session.flush()
    busy = await repository.is_busy(session, dataset.id)
    session.add(
        DatasetEvent(
            dataset_id=dataset.id,
            seq=dataset.last_seq,
            version=version.number,
            state=version.state,
            stage=stage,
            progress=progress,
            rows_read=rows_read,
            last=version.state is not State.PROCESSING and not busy,
            error_code=version.error_code,
            error_reason=version.error_reason,
            error_message=version.error_message,
            created_at=dataset.updated_at,
        )
    )
    await session.flush()
    await announce(session, dataset.id)


async def announce(session: AsyncSession, dataset_id: UUID) -> None:
    """Wakes whoever follows the dataset when the transaction commits."""
    await session.execute(select(func.pg_notify(CHANNEL, str(dataset_id))))
