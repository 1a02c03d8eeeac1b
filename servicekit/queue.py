"""A service's queue of work: pgqueuer's tables in the service's own schema.

Producers enqueue inside their own transaction. A consumer never holds more rows than it has slots; a row whose consumer
is gone, or has been silent for too long, is given to another.
"""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple, TypeVar

import asyncpg
import structlog
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.db import AsyncpgDriver, AsyncpgPoolDriver, Driver
from pgqueuer.domain.settings import DBSettings
from pgqueuer.domain.types import JOB_STATUS, Channel, QueueEntrypoint, QueueManagerId
from pgqueuer.models import Job as QueueRow
from pgqueuer.models import TracebackRecord
from pgqueuer.ports.driver import NotifyCallback
from pgqueuer.ports.repository import EntrypointExecutionParameter
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries
from sqlalchemy import Text, cast, column, delete, exists, extract, func, select, table
from sqlalchemy.ext.asyncio import AsyncSession

from servicekit.database import DATABASE_AWAY
from servicekit.ids import new_id
from servicekit.lease import Lease, consumers_alive
from servicekit.timestamps import utc_now

log = structlog.get_logger(__name__)

T = TypeVar("T")

TABLES = frozenset({"pgqueuer", "pgqueuer_log", "pgqueuer_schedules", "pgqueuer_statistics"})
"""The library's own tables, which no model of a service names."""

ROWS = table("pgqueuer", column("id"), column("entrypoint"), column("status"), column("created"))
"""The rows that wait or are being worked on, for queries that look whether one is there."""

_LOG = table("pgqueuer_log", column("created"))

_LONGEST_NAP = timedelta(seconds=5)  # between two looks for rows that a dead consumer left
_BUSY_NAP = timedelta(seconds=1)  # between two looks while every slot is taken; a freed slot wakes at once
_AWAY_PAUSE_S = 1.0

Handler = Callable[[QueueRow], Awaitable[None]]


def install_script(channel: str) -> str:
    """The statements of a migration that make the queue's tables, announced on a channel."""
    script: str = QueryBuilderEnvironment(DBSettings(channel=channel)).build_install_query(create_schema=False)
    return script


def uninstall_script(channel: str) -> str:
    """The statements of a migration that take the queue's tables away."""
    script: str = QueryBuilderEnvironment(DBSettings(channel=channel)).build_uninstall_query()
    return script


class _ConsumerQueries(Queries):
    """The queue's operations as a consumer needs them.

    Only rows that the consumer still holds are ended, and where the database is away the queue looks empty: the work
    in hand goes on, and the consumer asks again.
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
            if isinstance(self.driver, _ConsumerDriver):
                await self.driver.listen_again()
            return await super().dequeue(
                batch_size, entrypoints, queue_manager_id, global_concurrency_limit, heartbeat_timeout
            )
        except DATABASE_AWAY as error:
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
        """Takes finished rows out of the queue, but not one that was given to another consumer meanwhile."""
        query = f"SELECT id, queue_manager_id FROM {self.qbe.qualified.queue_table} WHERE id = ANY($1::bigint[])"  # noqa: S608 - the library's own table name
        rows = await self.driver.fetch(query, [row.id for row, _, _ in job_status])
        holders = {row["id"]: row["queue_manager_id"] for row in rows}
        await super().log_jobs([entry for entry in job_status if holders.get(entry[0].id) == entry[0].queue_manager_id])


class _ConsumerDriver(AsyncpgPoolDriver):
    """The queue's connections. The one that listens is replaced when it was cut, and its end is no error."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        super().__init__(pool)
        self._heard: list[tuple[str, NotifyCallback]] = []
        self._deaf = False

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        """Calls back with what is announced on a channel."""
        self._heard.append((channel, callback))
        await self._listen(channel, callback)

    async def listen_again(self) -> None:
        """Listens on a new connection if the one that listened has ended; raises DATABASE_AWAY if none is to be had."""
        if not self._deaf:
            return
        async with self._lock:
            self._listener_connection = None  # the pool has let go of it when it ended
        for channel, callback in self._heard:
            await self._listen(channel, callback)
        self._deaf = False
        log.info("queue_listens_again")

    async def _listen(self, channel: str, callback: NotifyCallback) -> None:
        await super().add_listener(channel, callback)
        if self._listener_connection is not None:
            self._listener_connection.add_termination_listener(self._cut)

    def _cut(self, _connection: object) -> None:
        self._deaf = True

    async def __aexit__(self, *exception: object) -> None:
        with suppress(asyncpg.InterfaceError):
            await super().__aexit__(*exception)


async def _unless_away(answer: Awaitable[T], otherwise: T) -> T:
    try:
        return await answer
    except DATABASE_AWAY:
        return otherwise


@dataclasses.dataclass
class _SlotLimitedManager(QueueManager):
    """A consumer that never holds more rows than it has slots, be it only one."""

    slots: int = 1

    async def fetch_jobs(
        self, batch_size: int, global_concurrency_limit: int | None, heartbeat_timeout: timedelta
    ) -> AsyncGenerator[QueueRow, None]:
        """Claims rows one by one while a slot is free."""
        del global_concurrency_limit  # the library's own, which is at least two
        async for row in super().fetch_jobs(batch_size, self.slots, heartbeat_timeout):
            yield row


class WorkQueue:
    """One kind of work in a service's queue.

    Announcement channels are shared by a whole database, so each service names its own.
    """

    def __init__(self, channel: str, entrypoint: str) -> None:
        self._names = DBSettings(channel=channel)
        self._entrypoint = entrypoint

    @property
    def entrypoint(self) -> str:
        """The kind of work, as the queue names it."""
        return self._entrypoint

    async def enqueue(
        self, session: AsyncSession, payload: bytes, priority: int = 0, wait: timedelta | None = None
    ) -> int:
        """Puts a piece of work into the queue, in the session's transaction; returns the row's id.

        Nobody takes it up before `wait` is over.
        """
        await session.flush()  # so that the transaction has begun before the queue library uses its connection
        connection = await (await session.connection()).get_raw_connection()
        queries = self._queries(AsyncpgDriver(connection.driver_connection), Queries)
        [row_id] = await queries.enqueue(self._entrypoint, payload, priority, wait)
        return int(row_id)

    async def consume(self, dsn: str, handle: Handler, *, slots: int, heartbeat_s: float, stop: asyncio.Event) -> None:
        """Hands rows to `handle`, at most `slots` at once, until `stop`; then waits for those at work.

        What is at work goes on while the database is away. Rows of a consumer whose connection has ended are given to
        another after seconds; the heartbeat is for one that hangs, or whose machine is gone.

        Args:
            dsn: the database, as asyncpg names it.
            handle: does the work; a row is done when it returns, and lost when it raises.
            slots: how many rows at once.
            heartbeat_s: after how many silent seconds a consumer's rows are given to another.
            stop: ends the consumer.
        """
        heartbeat = timedelta(seconds=heartbeat_s)
        async with asyncpg.create_pool(dsn, min_size=1, max_size=4) as pool:
            queries = self._queries(_ConsumerDriver(pool), _ConsumerQueries)
            consumer = new_id()
            lease = Lease(dsn, self._names.channel, self._entrypoint, consumer)
            manager = _SlotLimitedManager(queries, Channel(self._names.channel), slots=slots)
            manager.queue_manager_id = QueueManagerId(consumer)
            manager.min_dequeue_poll_interval = _BUSY_NAP
            manager.entrypoint(self._entrypoint, accepts_context=False)(handle)
            stopper = asyncio.create_task(_stop_with(manager, stop))
            leasing = asyncio.create_task(lease.keep())
            holding = asyncio.create_task(lease.held.wait())
            try:
                await asyncio.wait({holding, stopper}, return_when=asyncio.FIRST_COMPLETED)  # before it has any row
                await manager.run(
                    # Announcements only save time: whoever no longer hears them looks in so often.
                    dequeue_timeout=min(heartbeat, _LONGEST_NAP),
                    batch_size=1,
                    heartbeat_timeout=heartbeat,
                    log_aggregation_interval=timedelta(0),  # nobody reads the statistics; events say more
                )
            finally:
                for task in (tasks := {stopper, leasing, holding}):
                    task.cancel()
                await asyncio.wait(tasks)

    async def consumers_alive(self, session: AsyncSession) -> int:
        """How many consumers are connected to the database."""
        return await consumers_alive(session, self._names.channel, self._entrypoint)

    def _queries(self, driver: Driver, kind: type[Queries]) -> Queries:
        names = self._names
        return kind(driver, QueryBuilderEnvironment(names), QueryQueueBuilder(names), QuerySchedulerBuilder(names))


class QueueFigures(NamedTuple):
    """What a queue holds of one kind of work."""

    waiting: int = 0
    at_work: int = 0
    oldest_s: float = 0.0  # how long the oldest that waits has waited


async def queue_figures(session: AsyncSession, queues: Iterable[WorkQueue]) -> dict[str, QueueFigures]:
    """What a service's queue holds, by entry point."""
    waits = cast(ROWS.c.status, Text) == "queued"  # an enumeration of the library's
    oldest = extract("epoch", func.now() - func.min(ROWS.c.created).filter(waits))
    query = select(
        ROWS.c.entrypoint, func.count().filter(waits), func.count().filter(~waits), func.coalesce(oldest, 0)
    ).group_by(ROWS.c.entrypoint)
    found = {
        entrypoint: QueueFigures(waiting, at_work, max(0.0, float(oldest_s)))
        for entrypoint, waiting, at_work, oldest_s in await session.execute(query)
    }
    return {queue.entrypoint: found.get(queue.entrypoint, QueueFigures()) for queue in queues}


async def row_exists(session: AsyncSession, row_id: int) -> bool:
    """Whether the queue has a row of this id."""
    return bool(await session.scalar(select(exists().where(ROWS.c.id == row_id))))


async def forget_log(session: AsyncSession, older_than: timedelta) -> None:
    """Forgets what the library has written down of rows; what became of the work is told elsewhere."""
    await session.execute(delete(_LOG).where(_LOG.c.created < utc_now() - older_than))


async def _stop_with(manager: QueueManager, stop: asyncio.Event) -> None:
    await stop.wait()
    manager.shutdown.set()
