"""What has to be put right from time to time, by any worker: what a process that died left undone."""

from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from servicekit import idempotency, queue
from servicekit.object_store import ObjectStore
from servicekit.timestamps import utc_now
from services.generation import dispatch, jobs, repository, trials
from services.generation.dispatch import Dispatcher
from services.generation.models import DEPARTURES
from services.generation.repository import LOOSE_OBJECTS
from services.generation.states import AT_WORK, JobState
from services.generation.transitions import move

log = structlog.get_logger(__name__)

_QUEUE_LOG_KEPT = timedelta(days=7)
_EXPIRED_A_BATCH = 100
# A search deletes its trials when it ends, and none takes so long; what is left after that has no search any more.
_TRIALS_KEPT = timedelta(days=30)


async def tidy(
    sessions: async_sessionmaker[AsyncSession], dispatcher: Dispatcher, store: ObjectStore, retention_days: int = 0
) -> None:
    """Everything that has to be put right, and what has been kept for long enough (0: is kept for ever)."""
    if retention_days:
        await _expire(sessions, utc_now() - timedelta(days=retention_days))
    async with sessions.begin() as session:
        await repository.forget_keys(session, idempotency.KEPT)
        await DEPARTURES.forget(session)
        await queue.forget_log(session, _QUEUE_LOG_KEPT)
        lost = await repository.jobs_lost_by_queue(session)
        waiting = await repository.owners_waiting(session)
        unfollowed = await repository.searches_lost_by_queue(session)
    for job_id in lost:
        async with sessions.begin() as session:
            job = await repository.lock_any_job(session, job_id)
            if job is None or job.queue_id is None or await queue.row_exists(session, job.queue_id):
                continue
            await dispatch.enqueue(session, job)
            if job.state in AT_WORK:
                await move(
                    session, dispatcher, job, JobState.QUEUED, message="The worker was lost; another starts over"
                )
    for job_id in unfollowed:
        async with sessions.begin() as session:
            job = await repository.lock_any_job(session, job_id)
            if job is None or job.state is not JobState.OPTIMIZING:
                continue
            if job.search_queue_id is None or not await queue.row_exists(session, job.search_queue_id):
                await dispatch.enqueue_search(session, job)
    for owner_id, purpose in waiting:
        async with sessions.begin() as session:
            await dispatcher.fill(session, owner_id, purpose)
    async with sessions.begin() as session:
        await trials.delete_abandoned(session, dispatcher, utc_now() - _TRIALS_KEPT, _EXPIRED_A_BATCH)
    await LOOSE_OBJECTS.remove_due(sessions, store)


async def _expire(sessions: async_sessionmaker[AsyncSession], before: datetime) -> None:
    """Deletes tables, models and reports that were made before a time; the jobs stay, for the record."""
    async with sessions.begin() as session:
        await repository.forget_reports(session, before)
    while True:
        async with sessions.begin() as session:
            models = await repository.lock_models_made_before(session, before, _EXPIRED_A_BATCH)
            for model in models:
                await jobs.delete_model(session, model)
            jobs_expired = await repository.lock_tables_made_before(session, before, _EXPIRED_A_BATCH)
            for job in jobs_expired:
                await LOOSE_OBJECTS.loosen(session, [job.table_key or ""], utc_now())
                job.table_key, job.updated_at = None, utc_now()
        if not models and not jobs_expired:
            return
        log.info(
            "expired",
            job_ids=[str(job.id) for job in jobs_expired],
            model_ids=[str(model.id) for model in models],
        )
