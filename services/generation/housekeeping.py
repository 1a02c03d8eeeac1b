"""What has to be put right from time to time, by any worker: what a process that died left undone."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from servicekit import queue
from servicekit.object_store import ObjectStore
from services.generation import dispatch, jobs, repository
from services.generation.dispatch import Dispatcher
from services.generation.repository import LOOSE_OBJECTS
from services.generation.states import AT_WORK, JobState
from services.generation.transitions import move

_QUEUE_LOG_KEPT = timedelta(days=7)


async def tidy(sessions: async_sessionmaker[AsyncSession], dispatcher: Dispatcher, store: ObjectStore) -> None:
    """Everything that has to be put right."""
    async with sessions.begin() as session:
        await repository.forget_keys(session, jobs.IDEMPOTENCY_KEYS_KEPT)
        await queue.forget_log(session, _QUEUE_LOG_KEPT)
        lost = await repository.jobs_lost_by_queue(session)
        waiting = await repository.owners_waiting(session)
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
    for owner_id in waiting:
        async with sessions.begin() as session:
            await dispatcher.fill(session, owner_id)
    await LOOSE_OBJECTS.remove_due(sessions, store)
