"""Which queued jobs workers may take: so many of one user at a time, the oldest first; trials when no job waits.

Of a user's trials as many may run as of their jobs, and neither counts among the other: a search doesn't keep its
owner's jobs waiting. A worker takes a trial only when nobody's job waits, so a search keeps nobody else's waiting for
longer than the trials that run already.

A job is dispatched when it has a row there, named by
`Job.queue_id`; a row that its job doesn't name any more means nothing, and a worker drops it.
"""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.queue import WorkQueue
from services.generation import events, repository
from services.generation.events import EventKind
from services.generation.models import Job
from services.generation.states import STAGES, JobState, Purpose

# Announcement channels are shared by a whole database; this one is this service's own.
QUEUE = WorkQueue("generation_queue", "generate")
# Jobs whose study is to be followed, and studies to be stopped; no worker's concern.
SEARCHES = WorkQueue("generation_queue", "search")
_STOP = "stop "
_STOP_OF = "stop-of "

# Priorities: jobs go before trials, and what was begun already before what was not.
_PRIORITIES = {(Purpose.JOB, True): 1, (Purpose.JOB, False): 0, (Purpose.TRIAL, True): -1, (Purpose.TRIAL, False): -2}


async def enqueue(session: AsyncSession, job: Job) -> None:
    """Puts the job into the queue, in this transaction."""
    priority = _PRIORITIES[job.purpose, job.attempts > 0]
    job.queue_id = await QUEUE.enqueue(session, str(job.id).encode(), priority)


async def enqueue_search(session: AsyncSession, job: Job) -> None:
    """Has somebody follow the job's study, in this transaction."""
    job.search_queue_id = await SEARCHES.enqueue(session, str(job.id).encode())


async def enqueue_stop(session: AsyncSession, study_id: UUID) -> None:
    """Has somebody stop a study that nobody wants any more, in this transaction."""
    # Before whatever waits to be followed: trials of it take processors meanwhile.
    await SEARCHES.enqueue(session, f"{_STOP}{study_id}".encode(), priority=1)


async def enqueue_stop_of(session: AsyncSession, job_id: UUID) -> None:
    """The same for the study that a job may have ordered, where nobody has come to note which that is."""
    await SEARCHES.enqueue(session, f"{_STOP_OF}{job_id}".encode(), priority=1)


def searcher_to_stop(payload: str) -> UUID | None:
    """The job whose study a row of the searches' queue says to stop; None if it says something else."""
    return UUID(payload.removeprefix(_STOP_OF)) if payload.startswith(_STOP_OF) else None


def study_to_stop(payload: str) -> UUID | None:
    """The study that a row of the searches' queue says to stop; None if it names a job."""
    return UUID(payload.removeprefix(_STOP)) if payload.startswith(_STOP) else None


def search_is_due(job: Job) -> bool:
    """Whether the job's parameters are still to be searched for."""
    return job.optimization is not None and not (job.search or {}).get("over", False)


class Dispatcher:
    """Keeps to the number of jobs, and of trials, that one user may have running."""

    def __init__(self, max_concurrent: int) -> None:
        self._max_concurrent = max_concurrent

    async def fill(
        self, session: AsyncSession, owner_id: UUID, purpose: Purpose, told_later: Job | None = None
    ) -> None:
        """Dispatches the owner's oldest waiting jobs of a purpose as far as there is room; tells each one's followers.

        Of `told_later` the caller tells: it is just coming to be queued.

        Part of the transaction that made a job wait or that made room. The lock makes the owner's transactions take
        turns from here to their commit, so that none counts without the other; who holds it waits for no row.
        """
        await session.flush()
        key = func.hashtextextended(f"generation.dispatch:{owner_id}", 0)
        await session.execute(select(func.pg_advisory_xact_lock(key)))
        room = self._max_concurrent - await repository.count_dispatched(session, owner_id, purpose)
        if room <= 0:
            return
        for job in await repository.lock_waiting(session, owner_id, purpose, room):
            await enqueue(session, job)
            job.stage = STAGES[JobState.QUEUED]
            if job is not told_later:
                await events.record(session, job, EventKind.NOTICE)

    async def queue(self, session: AsyncSession, job: Job) -> None:
        """Dispatches a job that is just coming to be queued, if there is room; else it waits for its owner's others."""
        await self.fill(session, job.owner_id, job.purpose, told_later=job)
        others = "jobs" if job.purpose is Purpose.JOB else "trials"
        job.stage = STAGES[JobState.QUEUED] if job.queue_id is not None else f"Waiting for your other {others} to end"
