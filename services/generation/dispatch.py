"""Which queued jobs workers may take: so many of one user at a time, the oldest first.

The queue is pgqueuer's tables in this service's schema. A job is dispatched when it has a row there, named by
`Job.queue_id`; a row that its job doesn't name any more means nothing, and a worker drops it.
"""

from uuid import UUID

from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.db import AsyncpgDriver, Driver
from pgqueuer.domain.settings import DBSettings
from pgqueuer.queries import Queries
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.generation import events, repository
from services.generation.events import EventKind
from services.generation.models import Job
from services.generation.states import STAGES

ENTRYPOINT = "generate"
# Announcement channels are shared by a whole database; this one is this service's own.
QUEUE_CHANNEL = "generation_queue"

_FIRST_TIME, _AGAIN = 0, 1  # priorities: what was begun already goes before what was not
WAITING_FOR_OTHERS = "Waiting for your other jobs to end"


def queue_settings() -> DBSettings:
    """The names of the queue's parts in the database; the tables' are the library's own."""
    return DBSettings(channel=QUEUE_CHANNEL)


def queue_queries(driver: Driver, kind: type[Queries] = Queries) -> Queries:
    """The queue's operations over a connection or a pool."""
    names = queue_settings()
    return kind(driver, QueryBuilderEnvironment(names), QueryQueueBuilder(names), QuerySchedulerBuilder(names))


async def enqueue(session: AsyncSession, job: Job) -> None:
    """Puts the job into the queue, in this transaction."""
    await session.flush()  # so that the transaction has begun before the queue library uses its connection
    connection = await (await session.connection()).get_raw_connection()
    queries = queue_queries(AsyncpgDriver(connection.driver_connection))
    priority = _AGAIN if job.attempts else _FIRST_TIME
    [job.queue_id] = await queries.enqueue(ENTRYPOINT, str(job.id).encode(), priority)


class Dispatcher:
    """Keeps to the number of jobs that one user may have running."""

    def __init__(self, max_concurrent: int) -> None:
        self._max_concurrent = max_concurrent

    async def fill(self, session: AsyncSession, owner_id: UUID) -> None:
        """Dispatches the owner's oldest waiting jobs as far as there is room.

        Part of the transaction that made a job wait or that made room. The lock makes the owner's transactions take
        turns from here to their commit, so that none counts without the other; who holds it waits for no row.
        """
        await session.flush()
        key = func.hashtextextended(f"generation.dispatch:{owner_id}", 0)
        await session.execute(select(func.pg_advisory_xact_lock(key)))
        room = self._max_concurrent - await repository.count_dispatched(session, owner_id)
        if room <= 0:
            return
        for job in await repository.lock_waiting(session, owner_id, room):
            await enqueue(session, job)
            job.stage = STAGES[job.state]
            await events.record(session, job, EventKind.NOTICE)
