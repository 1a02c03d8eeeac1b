"""A worker's end of the queue: pgqueuer's consumer, held to this machine's slots and to what is still ours."""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import TypeVar

import asyncpg
import structlog
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.domain.types import JOB_STATUS, Channel, QueueEntrypoint, QueueManagerId
from pgqueuer.models import Job as QueueRow
from pgqueuer.models import TracebackRecord
from pgqueuer.ports.repository import EntrypointExecutionParameter
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries

from services.generation.dispatch import ENTRYPOINT, QUEUE_CHANNEL, queue_queries

log = structlog.get_logger(__name__)

T = TypeVar("T")

_LONGEST_NAP = timedelta(seconds=5)  # between two looks for rows that a dead worker left
_BUSY_NAP = timedelta(seconds=1)  # between two looks while every slot is taken; a freed slot wakes at once
_AWAY_PAUSE_S = 1.0

_AWAY = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)
"""What the database says when it is not to be reached."""

Handler = Callable[[QueueRow], Awaitable[None]]


class WorkerQueries(Queries):
    """The queue's operations as a worker needs them.

    Only rows that the worker still holds are ended, and where the database is away the queue looks empty: the jobs at
    work go on, and the worker asks again.
    """

    async def dequeue(
        self,
        batch_size: int,
        entrypoints: dict[QueueEntrypoint, EntrypointExecutionParameter],
        queue_manager_id: QueueManagerId,
        global_concurrency_limit: int | None,
        heartbeat_timeout: timedelta,
    ) -> list[QueueRow]:
        """Claims rows."""
        try:
            return await super().dequeue(
                batch_size, entrypoints, queue_manager_id, global_concurrency_limit, heartbeat_timeout
            )
        except _AWAY as error:
            log.warning("queue_away", error=type(error).__name__)
            await asyncio.sleep(_AWAY_PAUSE_S)
            return []

    async def queued_work(self, entrypoints: list[QueueEntrypoint]) -> int:
        """How many rows wait, or will."""
        return await _unless_away(super().queued_work(entrypoints), 0)

    async def eligible_queued_work(self, entrypoints: list[QueueEntrypoint]) -> int:
        """How many rows wait."""
        return await _unless_away(super().eligible_queued_work(entrypoints), 0)

    async def next_deferred_eta(self, entrypoints: list[QueueEntrypoint]) -> timedelta | None:
        """When the next row will wait."""
        return await _unless_away(super().next_deferred_eta(entrypoints), None)

    async def log_jobs(self, job_status: list[tuple[QueueRow, JOB_STATUS, TracebackRecord | None]]) -> None:
        """Takes finished rows out of the queue, but not one that was given to another worker meanwhile."""
        query = f"SELECT id, queue_manager_id FROM {self.qbe.qualified.queue_table} WHERE id = ANY($1::bigint[])"  # noqa: S608 - the library's own table name
        rows = await self.driver.fetch(query, [row.id for row, _, _ in job_status])
        holders = {row["id"]: row["queue_manager_id"] for row in rows}
        await super().log_jobs([entry for entry in job_status if holders.get(entry[0].id) == entry[0].queue_manager_id])


class WorkerDriver(AsyncpgPoolDriver):
    """The queue's connections, whose end is no error where the database has cut the one that listens before."""

    async def __aexit__(self, *exception: object) -> None:
        with suppress(asyncpg.InterfaceError):
            await super().__aexit__(*exception)


async def _unless_away(answer: Awaitable[T], otherwise: T) -> T:
    try:
        return await answer
    except _AWAY:
        return otherwise


@dataclasses.dataclass
class SlotLimitedManager(QueueManager):
    """A consumer that never holds more rows than it has slots, be it only one."""

    slots: int = 1

    async def fetch_jobs(
        self, batch_size: int, global_concurrency_limit: int | None, heartbeat_timeout: timedelta
    ) -> AsyncGenerator[QueueRow, None]:
        """Claims rows one by one while a slot is free."""
        del global_concurrency_limit  # the library's own, which is at least two
        async for row in super().fetch_jobs(batch_size, self.slots, heartbeat_timeout):
            yield row


async def consume(dsn: str, handle: Handler, *, slots: int, heartbeat_s: float, stop: asyncio.Event) -> None:
    """Hands the queue's rows to `handle`, at most `slots` at once, until `stop`; then waits for those at work."""
    heartbeat = timedelta(seconds=heartbeat_s)
    async with asyncpg.create_pool(dsn, min_size=1, max_size=4) as pool:
        queries = queue_queries(WorkerDriver(pool), WorkerQueries)
        manager = SlotLimitedManager(queries, Channel(QUEUE_CHANNEL), slots=slots)
        manager.min_dequeue_poll_interval = _BUSY_NAP
        manager.entrypoint(ENTRYPOINT, accepts_context=False)(handle)
        stopper = asyncio.create_task(_stop_with(manager, stop))
        try:
            await manager.run(
                # Announcements only save time: whoever no longer hears them looks in so often.
                dequeue_timeout=min(heartbeat, _LONGEST_NAP),
                batch_size=1,
                heartbeat_timeout=heartbeat,
                log_aggregation_interval=timedelta(0),  # nobody reads the statistics; a job's events say more
            )
        finally:
            stopper.cancel()


async def _stop_with(manager: QueueManager, stop: asyncio.Event) -> None:
    await stop.wait()
    manager.shutdown.set()
