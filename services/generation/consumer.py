"""A worker's end of the queue: pgqueuer's consumer, held to this machine's slots and to what is still ours."""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta

import asyncpg
import structlog
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.domain.types import JOB_STATUS, Channel
from pgqueuer.errors import FailingListenerError
from pgqueuer.models import Job as QueueRow
from pgqueuer.models import TracebackRecord
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries

from services.generation.dispatch import ENTRYPOINT, QUEUE_CHANNEL, queue_queries

log = structlog.get_logger(__name__)

_LONGEST_NAP = timedelta(seconds=5)  # between two looks for rows that a dead worker left
_BUSY_NAP = timedelta(seconds=1)  # between two looks while every slot is taken; a freed slot wakes at once
_RECONNECT_PAUSE_S = 1.0

_CONNECTION_ERRORS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, FailingListenerError)

Handler = Callable[[QueueRow], Awaitable[None]]


class OwnedQueries(Queries):
    """The queue's operations, which end only rows that their worker still holds."""

    async def log_jobs(self, job_status: list[tuple[QueueRow, JOB_STATUS, TracebackRecord | None]]) -> None:
        """Takes finished rows out of the queue, but not one that was given to another worker meanwhile."""
        query = f"SELECT id, queue_manager_id FROM {self.qbe.qualified.queue_table} WHERE id = ANY($1::bigint[])"  # noqa: S608 - the library's own table name
        rows = await self.driver.fetch(query, [row.id for row, _, _ in job_status])
        holders = {row["id"]: row["queue_manager_id"] for row in rows}
        await super().log_jobs([entry for entry in job_status if holders.get(entry[0].id) == entry[0].queue_manager_id])


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
    """Hands the queue's rows to `handle`, at most `slots` at once, until `stop`; then waits for those at work.

    A lost database connection is made anew; what is at work goes on meanwhile.
    """
    async with asyncpg.create_pool(dsn, min_size=1, max_size=4) as pool:
        while not stop.is_set():
            try:
                await _consume_once(pool, handle, slots, timedelta(seconds=heartbeat_s), stop)
            except _CONNECTION_ERRORS as error:
                log.warning("queue_lost", error=type(error).__name__)
                await _pause(stop)


async def _consume_once(
    pool: asyncpg.Pool, handle: Handler, slots: int, heartbeat: timedelta, stop: asyncio.Event
) -> None:
    queries = queue_queries(AsyncpgPoolDriver(pool), OwnedQueries)
    manager = SlotLimitedManager(queries, Channel(QUEUE_CHANNEL), slots=slots)
    manager.min_dequeue_poll_interval = _BUSY_NAP
    manager.entrypoint(ENTRYPOINT, accepts_context=False)(handle)
    stopper = asyncio.create_task(_stop_with(manager, stop))
    try:
        await manager.run(
            dequeue_timeout=min(heartbeat, _LONGEST_NAP),
            batch_size=1,
            heartbeat_timeout=heartbeat,
            shutdown_on_listener_failure=True,
            log_aggregation_interval=timedelta(0),  # nobody reads the statistics; a job's events say more
        )
    finally:
        stopper.cancel()


async def _stop_with(manager: QueueManager, stop: asyncio.Event) -> None:
    await stop.wait()
    manager.shutdown.set()


async def _pause(stop: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_RECONNECT_PAUSE_S):
            await stop.wait()
    except TimeoutError:
        pass
