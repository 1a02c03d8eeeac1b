"""Watching a job through everything that can happen to a connection."""

import asyncio
from contextlib import aclosing

import pytest

from mirage import AsyncClient
from mirage.errors import ConnectionFailed, JobFailed, TimedOut
from tests.client.platform import EMAIL, PASSWORD, SmallPlatform

EVERYTHING = list(range(1, 21))


async def watch(client: AsyncClient, resume_token: str = "") -> list[int]:
    """Watches the job to its end; returns the numbers of the events."""
    job = await client.jobs.get("job")
    return [event.sequence async for event in job.watch(resume_token, timeout_s=60)]


async def test_every_event_once(platform: SmallPlatform, client: AsyncClient) -> None:
    """Every event comes once and in order, and no heartbeat."""
    platform.add_events(20, last=True)
    assert await watch(client) == EVERYTHING


async def test_broken_streams_are_resumed(platform: SmallPlatform, client: AsyncClient) -> None:
    """A stream that breaks again and again is taken up where it broke: no gap, no double."""
    platform.faults.break_watch_after = [3, 4, 11]
    platform.add_events(20, last=True)
    assert await watch(client) == EVERYTHING
    assert platform.watches == ["", "after-3", "after-4", "after-11"]


async def test_stream_that_ends_early_is_resumed(platform: SmallPlatform, client: AsyncClient) -> None:
    """A stream that ends before the last event, as when a server is shut down, is taken up again."""
    platform.faults.end_watch_after = [5]
    platform.add_events(20, last=True)
    assert await watch(client) == EVERYTHING


async def test_token_that_ends_under_a_stream(platform: SmallPlatform, client: AsyncClient) -> None:
    """A token that ends while the stream is open is renewed, and the stream taken up again."""
    platform.faults.refuse_watch_after = [7]
    platform.add_events(20, last=True)
    assert await watch(client) == EVERYTHING
    assert platform.refreshes == 1


async def test_platform_that_restarts(platform: SmallPlatform) -> None:
    """A platform that goes away in the middle and comes back is found again; the client loses nothing."""
    state = SmallPlatform()
    state.add_events(10, last=False)
    async with AsyncClient("http://127.0.0.1:1") as nobody:
        assert nobody.email is None
    seen: list[int] = []
    async with state.serving():
        client = await AsyncClient(state.url).login(EMAIL, PASSWORD)
        job = await client.jobs.get("job")
        events = job.watch(timeout_s=60)
        async with asyncio.timeout(30):
            while len(seen) < 10:
                seen.append((await anext(events)).sequence)
    state.add_events(10, last=True)
    async with state.serving(port=int(state.address.rpartition(":")[2])):
        seen += [event.sequence async for event in events]
        await client.close()
    assert seen == EVERYTHING


async def test_watch_from_the_end(platform: SmallPlatform, client: AsyncClient) -> None:
    """Watching on from the last event of a job that has ended yields nothing and ends."""
    platform.add_events(20, last=True)
    assert await watch(client, "after-20") == []


async def test_events_that_come_later(platform: SmallPlatform, client: AsyncClient) -> None:
    """A watch waits for events that haven't happened yet."""
    platform.add_events(1, last=False)
    watching = asyncio.create_task(watch(client))
    async with asyncio.timeout(30):
        await platform.watching.wait()
    platform.add_events(19, last=True)
    assert await watching == EVERYTHING


async def test_time_given_is_over(platform: SmallPlatform, client: AsyncClient) -> None:
    """A wait ends when the time given is over; the job goes on."""
    platform.add_events(1, last=False)
    job = await client.jobs.get("job")
    with pytest.raises(TimedOut) as caught:
        await job.wait(timeout_s=0.2)
    assert caught.value.reason == "WAIT_TIMED_OUT"
    assert not (await job.refresh()).ended


async def test_a_part_that_is_just_restarted(platform: SmallPlatform, client: AsyncClient) -> None:
    """Where the platform is there and says that it isn't ready, a first connection is tried for a little while."""
    platform.faults.watch_unavailable = 2
    platform.add_events(20, last=True)
    assert await watch(client) == EVERYTHING


async def test_nobody_there_from_the_start(platform: SmallPlatform, client: AsyncClient) -> None:
    """A first connection that fails is told at once, not tried for minutes."""
    platform.add_events(1, last=False)
    job = await client.jobs.get("job")
    job._connection = AsyncClient("http://127.0.0.1:1")._connection
    job._connection.tokens = client._connection.tokens
    with pytest.raises(ConnectionFailed):
        async with asyncio.timeout(30), aclosing(job.watch()) as events:
            await anext(events)


async def test_failed_job(platform: SmallPlatform, client: AsyncClient) -> None:
    """Waiting for a job that failed raises, with the reason and the job."""
    with pytest.raises(JobFailed, match=r"The table has no rows\.") as caught:
        await (await client.jobs.get("failed")).wait()
    assert caught.value.job.state == "failed"


async def test_abandoned_watch_ends_its_call(platform: SmallPlatform, client: AsyncClient) -> None:
    """A watch that nobody reads any more ends the call on the server's side too, and the client goes on."""
    platform.add_events(5, last=False)
    job = await client.jobs.get("job")
    async with aclosing(job.watch()) as events:
        assert (await anext(events)).sequence == 1
    assert (await client.account.me()).email == EMAIL
