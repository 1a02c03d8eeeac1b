"""What has to be put right from time to time, by any process: what one that died left undone."""

import asyncio

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from servicekit import idempotency, queue
from servicekit.object_store import ObjectStore
from servicekit.workspace import Workspace
from services.dataset import repository, work_queue
from services.dataset.models import departures, loose_objects

log = structlog.get_logger(__name__)

_EVERY_S = 60.0


async def keep_tidy(sessions: async_sessionmaker[AsyncSession], store: ObjectStore, workspace: Workspace) -> None:
    """Tidies again and again, until it is cancelled."""
    while True:
        try:
            await tidy(sessions, store)
            await asyncio.to_thread(workspace.remove_abandoned)
        except Exception:  # the next time may go better; nobody's request hangs on it
            log.exception("tidying_failed")
        await asyncio.sleep(_EVERY_S)


async def tidy(sessions: async_sessionmaker[AsyncSession], store: ObjectStore) -> None:
    """Everything that has to be put right."""
    async with sessions.begin() as session:
        await repository.forget_keys(session, idempotency.KEPT)
        await departures.forget(session)
        lost = await repository.versions_lost_by_queue(session)
    for dataset_id, number in lost:
        async with sessions.begin() as session:
            view = await repository.lock_any(session, dataset_id, number)
            if view is None or view.version.queue_id is None:
                continue
            if not await queue.row_exists(session, view.version.queue_id):
                await work_queue.enqueue(session, view.version)
    await loose_objects.remove_due(sessions, store)
