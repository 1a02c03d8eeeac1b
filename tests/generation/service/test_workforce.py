"""That jobs wait and no worker is there is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from servicekit.database import asyncpg_dsn
from services.generation.dispatch import QUEUE
from services.generation.workforce import keep_watching
from tests.generation.service.platform import Platform, until


@asynccontextmanager
async def a_consumer(platform: Platform) -> AsyncIterator[None]:
    """Somebody who takes rows and does nothing for them."""
    stop = asyncio.Event()

    async def nothing(_row: object) -> None:
        await stop.wait()

    dsn = asyncpg_dsn(platform.settings.database_url.get_secret_value())
    consuming = asyncio.create_task(QUEUE.consume(dsn, nothing, slots=1, heartbeat_s=30, stop=stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(consuming, 30)


async def alive(platform: Platform) -> int:
    """How many consumers are there."""
    async with platform.database.sessions() as session:
        return await QUEUE.consumers_alive(session)


async def test_consumers_are_counted(platform: Platform) -> None:
    """Consumers count from when they are there until they are gone."""

    async def are(count: int) -> bool:
        return await alive(platform) == count

    await until(lambda: are(0))
    async with a_consumer(platform):
        await until(lambda: are(1))
        async with a_consumer(platform):
            await until(lambda: are(2))
        await until(lambda: are(1))
    await until(lambda: are(0))


async def test_jobs_without_a_worker(platform: Platform) -> None:
    """Without a worker nothing is said until jobs wait, then how many do; and once more when a worker is there."""
    user = platform.user()
    with structlog.testing.capture_logs() as events:
        watching = asyncio.create_task(keep_watching(platform.database.sessions, every_s=0.02))

        async def said(event: str) -> bool:
            return any(entry["event"] == event for entry in events)

        try:
            await user.start(await platform.dataset(user))
            await until(lambda: said("no_worker"))
            assert not await said("workers_are_back")
            async with a_consumer(platform):
                await until(lambda: said("workers_are_back"))
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
    [first, *_] = [entry for entry in events if entry["event"] == "no_worker"]
    assert (first["log_level"], first["jobs_waiting"]) == ("error", 1)
