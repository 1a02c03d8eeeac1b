"""Whether there is anybody to do what waits: a platform without a worker serves, and no job of it ever ends."""

import asyncio

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from servicekit.patience import DATABASE_ERRORS
from services.generation import repository
from services.generation.dispatch import QUEUE

log = structlog.get_logger(__name__)

_EVERY_S = 30.0


async def keep_watching(sessions: async_sessionmaker[AsyncSession], every_s: float = _EVERY_S) -> None:
    """Logs, as long as it is so, that jobs wait and no worker is there, until it is cancelled.

    A worker that is being replaced is missing for a moment, so it is said from the second look on.
    """
    missed = 0
    while True:
        await asyncio.sleep(every_s)
        try:
            async with sessions() as session:
                workers = await QUEUE.consumers_alive(session)
                waiting = 0 if workers else await repository.count_for_workers(session)
        except DATABASE_ERRORS as error:
            log.warning("workers_not_counted", error=type(error).__name__)
            continue
        if waiting:
            missed += 1
            if missed > 1:
                log.error("no_worker", jobs_waiting=waiting)
        elif missed and workers:
            missed = 0
            log.info("workers_are_back", workers=workers)
