"""What is a user's: told in an export, gone with the account, whatever runs or is on its way."""

import asyncio

import pytest
from sqlalchemy import text

from mirage.generation.v1 import job_pb2
from servicekit.attending import Superseded
from servicekit.timestamps import utc_now
from services.generation import attempts
from tests.generation.service.hand import Hand
from tests.generation.service.platform import Platform, until
from tests.generation.service.search import Search
from tests.support.errors import refused
from tests.support.holdings import Holdings
from tests.support.traces import traces


async def test_nothing_is_left(platform: Platform, hand: Hand) -> None:
    """Jobs that wait, run and have ended, trials, models, tables and what is being stored go; others' stay."""
    user, other = platform.user(), platform.user()
    dataset_id = await platform.dataset(user, public=True)
    finished, kept = await user.start(dataset_id), await other.start(dataset_id)
    for _ in range(2):
        await hand.succeed(await hand.take())
    running = await user.start(dataset_id)
    await user.start(dataset_id)
    attempt = await hand.take()
    storing = f"{user.user_id}/{running.job_id}/1/model.zip"
    async with platform.database.sessions.begin() as session:
        await attempts.reserve(session, attempt, [storing], utc_now())
    await platform.store.put_bytes(storing, b"half a model")
    search = Search(platform, user, dataset_id)
    await search.start()
    watching = asyncio.create_task(user.events(running.job_id))
    holdings = Holdings(platform.channel, platform.tokens)
    assert await holdings.delete_all(user.user_id) >= 5
    assert (await watching)[-1].state == job_pb2.JOB_STATE_CANCELLED
    with pytest.raises(Superseded):  # what a worker would hear of it at its next word
        async with platform.database.sessions.begin() as session:
            await attempts.reserve(session, attempt, [storing], utc_now())
    assert await platform.objects(user) == set()
    assert (await other.get(kept.job_id)).state == job_pb2.JOB_STATE_SUCCEEDED
    assert await platform.objects(other)
    async with platform.database.sessions.begin() as session:  # nobody delivers here
        await session.execute(text("DELETE FROM outbox"))
    assert await traces(platform.database.dsn, [str(user.user_id), finished.job_id]) == []
    assert await holdings.delete(user.user_id) == (0, 0)


async def test_nothing_comes_afterwards(platform: Platform) -> None:
    """A request that was on its way when the account ended makes neither a job nor a trial; twice at once is once."""
    user = platform.user()
    dataset_id = await platform.dataset(user)
    holdings = Holdings(platform.channel, platform.tokens)
    await asyncio.gather(
        *(user.start(dataset_id) for _ in range(5)),
        *(holdings.delete(user.user_id) for _ in range(3)),
        return_exceptions=True,
    )
    await until(lambda: _is_empty(holdings, user.user_id))
    async with refused("ACCOUNT_DELETED"):
        await user.start(dataset_id)
    async with refused("ACCOUNT_DELETED"):
        await Search(platform, user, dataset_id).start()
    assert await holdings.delete(user.user_id) == (0, 0)


async def test_what_waits_to_be_told(platform: Platform) -> None:
    """As long as an event about the user waits for the log, the service isn't done; one that can't be told goes."""
    user = platform.user()
    event = f"something about {user.user_id}".encode()
    insert = text("INSERT INTO outbox (event, set_aside_at) VALUES (:event, NULL), (:event, now())")
    async with platform.database.sessions.begin() as session:
        await session.execute(insert, {"event": event})
    holdings = Holdings(platform.channel, platform.tokens)
    assert await holdings.delete(user.user_id) == (0, 1)
    async with platform.database.sessions.begin() as session:
        await session.execute(text("DELETE FROM outbox WHERE set_aside_at IS NULL"))
        assert not (await session.execute(text("SELECT 1 FROM outbox"))).first()
    assert await holdings.delete(user.user_id) == (0, 0)


async def test_an_export(platform: Platform, hand: Hand) -> None:
    """It has every job with settings, events and where its table is, and every model; nothing of others."""
    user, other = platform.user(), platform.user()
    job = await user.start(await platform.dataset(user), name="mine", sample_size=20)
    await other.start(await platform.dataset(other))
    await hand.succeed(await hand.take())
    told = await Holdings(platform.channel, platform.tokens).export(user.user_id)
    [shown] = told["jobs"]
    assert (shown["job_id"], shown["name"], shown["sample_size"]) == (job.job_id, "mine", 20)
    assert shown["download"] == f"/generation/download/{job.job_id}?format=parquet"
    assert shown["model_type"] == "gaussian_copula"
    assert {event["job_id"] for event in told["job_events"]} == {job.job_id}
    assert [model["job_id"] for model in told["models"]] == [job.job_id]
    assert set(told) == {"jobs", "job_events", "quality_reports", "models", "search_jobs"}


async def _is_empty(holdings: Holdings, user_id: object) -> bool:
    return await holdings.delete(user_id) == (0, 0)
