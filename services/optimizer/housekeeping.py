"""What has to be put right from time to time, by any replica: what a process that died left undone."""

import asyncio

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from servicekit import idempotency, queue
from services.optimizer import repository, work_queue
from services.optimizer.models import DEPARTURES

log = structlog.get_logger(__name__)

_TIDY_EVERY_S = 60.0


async def tidy(sessions: async_sessionmaker[AsyncSession]) -> None:
    """Everything that has to be put right."""
    async with sessions.begin() as session:
        await repository.forget_keys(session, idempotency.KEPT)
        await DEPARTURES.forget(session)
        await queue.forget_log(session, idempotency.KEPT)
        lost = await repository.studies_lost_by_queue(session)
    for study_id in lost:
        async with sessions.begin() as session:
            study = await repository.lock_any_study(session, study_id)
            if study is None or study.queue_id is None or await queue.row_exists(session, study.queue_id):
                continue
            await work_queue.enqueue(session, study)


async def keep_tidy(sessions: async_sessionmaker[AsyncSession]) -> None:
    """Puts right what has to be, again and again, until it is cancelled."""
    while True:
        try:
            await tidy(sessions)
        except Exception:  # the next time may go better; no study hangs on it
            log.exception("tidying_failed")
        await asyncio.sleep(_TIDY_EVERY_S)
