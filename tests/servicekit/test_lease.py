"""Which consumers of a queue are alive, by the real database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import pytest

from servicekit.database import asyncpg_dsn
from servicekit.ids import new_id
from servicekit.lease import Lease
from tests.support.postgres import PostgresForTests

CHANNEL, ENTRYPOINT = "generation_queue", "lease-tests"


@pytest.fixture
async def connection(postgres: PostgresForTests) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a schema that has a queue, in which nothing is left afterwards."""
    opened = await asyncpg.connect(asyncpg_dsn(postgres.database_url("generation")))
    yield opened
    await opened.execute("DELETE FROM pgqueuer WHERE entrypoint = $1", ENTRYPOINT)
    await opened.close()


@asynccontextmanager
async def living(postgres: PostgresForTests, consumer: UUID) -> AsyncIterator[None]:
    """A consumer that holds its lease while the block runs."""
    lease = Lease(asyncpg_dsn(postgres.database_url("generation")), CHANNEL, ENTRYPOINT, consumer)
    keeping = asyncio.create_task(lease.keep())
    try:
        await asyncio.wait_for(lease.held.wait(), 30)
        yield
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})


async def row_of(connection: asyncpg.Connection, consumer: UUID) -> int:
    """A row that a consumer has taken and tells nothing of."""
    row: int = await connection.fetchval(
        "INSERT INTO pgqueuer (priority, entrypoint, status, queue_manager_id, heartbeat, execute_after)"
        " VALUES (0, $1, 'picked', $2, now(), now()) RETURNING id",
        ENTRYPOINT,
        consumer,
    )
    return row


async def is_free(connection: asyncpg.Connection, row: int) -> bool:
    """Whether others may take the row."""
    return bool(await connection.fetchval("SELECT heartbeat = 'epoch' FROM pgqueuer WHERE id = $1", row))


async def until_free(connection: asyncpg.Connection, row: int) -> None:
    """Waits until others may take the row."""
    async with asyncio.timeout(30):
        while not await is_free(connection, row):  # noqa: ASYNC110 - another connection's doing
            await asyncio.sleep(0.05)


async def test_only_the_rows_of_the_dead(postgres: PostgresForTests, connection: asyncpg.Connection) -> None:
    """Rows of a consumer that is gone are free; those of one that lives, and of one that knows no leases, are not."""
    alive, dead, unleased = new_id(), new_id(), UUID("b6f2bd0e-6f5c-4c57-8d0c-0e1f0c3f2a11")
    rows = [await row_of(connection, consumer) for consumer in (alive, dead, unleased)]
    async with living(postgres, alive), living(postgres, new_id()):
        async with living(postgres, dead):
            assert not await is_free(connection, rows[1])
        await until_free(connection, rows[1])
        assert [await is_free(connection, row) for row in rows] == [False, True, False]


async def test_connections_that_are_cut(postgres: PostgresForTests, connection: asyncpg.Connection) -> None:
    """Consumers whose connections are all cut at once, as when the database restarts, keep their rows."""
    alive, dead = new_id(), new_id()
    kept = await row_of(connection, alive)
    async with living(postgres, alive), living(postgres, new_id()):
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = current_user AND pid <> pg_backend_pid()"
        )
        lost = await row_of(connection, dead)
        await until_free(connection, lost)  # so the others have looked, for as long as it takes
        assert not await is_free(connection, kept)
