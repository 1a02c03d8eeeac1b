"""A queue's consumer, by the real database."""

import asyncio

import asyncpg

from servicekit.database import asyncpg_dsn
from servicekit.queue import WorkQueue
from tests.support.postgres import PostgresForTests

CHANNEL, NAME = "generation_queue", "queue-tests"
_LISTENING = "SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND query LIKE 'LISTEN%' || $2 || '%'"


async def test_listens_again_after_the_database_was_away(postgres: PostgresForTests) -> None:
    """A consumer whose listening connection was cut hears of new rows again, instead of only looking now and then."""
    dsn = asyncpg_dsn(postgres.database_url("generation"))
    named = f"{dsn}{'&' if '?' in dsn else '?'}application_name={NAME}"
    own = await asyncpg.connect(dsn)

    async def listening_but(ended: int) -> int:
        async with asyncio.timeout(30):
            while (pid := await own.fetchval(_LISTENING, NAME, CHANNEL)) in {None, ended}:  # noqa: ASYNC110 - another's
                await asyncio.sleep(0.05)
        return int(pid)

    async def nothing(_row: object) -> None:
        """Never called: no row is there."""

    stop = asyncio.Event()
    queue = WorkQueue(CHANNEL, NAME)
    consuming = asyncio.create_task(queue.consume(named, nothing, slots=1, heartbeat_s=1, stop=stop))
    try:
        first = await listening_but(0)
        assert await own.fetchval("SELECT pg_terminate_backend($1, 10000)", first)
        assert await listening_but(first) != first
    finally:
        stop.set()
        await asyncio.wait_for(consuming, 30)
        await own.close()
