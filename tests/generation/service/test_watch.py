"""Watching a job: every event once, in order, from any point on, to the last."""

import asyncio

from mirage.generation.v1 import job_pb2
from services.generation.engines.protocol import Stage
from tests.generation.service.hand import Hand
from tests.generation.service.platform import Client, Platform
from tests.support.errors import refused


async def watch_until(user: Client, job_id: str, last: int, token: str = "") -> list[job_pb2.JobEvent]:
    """The events behind a token up to a number; then the watcher drops off."""
    seen: list[job_pb2.JobEvent] = []
    call = user.jobs.WatchJob(job_pb2.WatchJobRequest(job_id=job_id, resume_token=token))
    async for event in call:
        seen.append(event)
        if event.sequence == last:
            call.cancel()
            return seen
    return seen


async def test_resuming_anywhere(platform: Platform, hand: Hand) -> None:
    """Whoever drops off after any event and resumes from its token misses nothing and sees nothing twice."""
    user = platform.user()
    job = await user.start(await platform.dataset(user))
    attempt = await hand.take()
    await hand.report(attempt, Stage.SAMPLING)
    await hand.succeed(attempt)
    whole = await user.events(job.job_id)
    for event in whole:
        rest = await user.events(job.job_id, event.resume_token)
        assert rest == whole[event.sequence :]


async def test_watching_live(platform: Platform, hand: Hand) -> None:
    """Watchers that were there before, that come in between and that resume all see the same events as they happen."""
    user = platform.user()
    job = await user.start(await platform.dataset(user))
    early = asyncio.create_task(user.events(job.job_id))
    dropped = asyncio.create_task(watch_until(user, job.job_id, 4))
    attempt = await hand.take()
    for epoch in range(1, 20):
        await hand.report(attempt, Stage.TRAINING, epoch=epoch, epochs=20, fraction=epoch / 25)
    beginning = await dropped
    late = asyncio.create_task(user.events(job.job_id))
    resumed = asyncio.create_task(user.events(job.job_id, beginning[-1].resume_token))
    await hand.report(attempt, Stage.SAMPLING, rows_sampled=10, rows=10, fraction=0.99)
    await hand.succeed(attempt)
    async with asyncio.timeout(20):
        seen = [await watcher for watcher in (early, late)]
        assert seen[0] == seen[1] == [*beginning, *(await resumed)]
    assert [event.sequence for event in seen[0]] == list(range(1, len(seen[0]) + 1))
    assert seen[0][-1].state == job_pb2.JOB_STATE_SUCCEEDED


async def test_an_idle_stream_has_a_heartbeat(platform: Platform) -> None:
    """Where nothing happens a heartbeat comes, with a token that resumes there."""
    user = platform.user()
    job = await user.start(await platform.dataset(user))
    kinds: list[str] = []
    call = user.jobs.WatchJob(job_pb2.WatchJobRequest(job_id=job.job_id))
    async with asyncio.timeout(20):
        async for event in call:
            kinds.append(event.kind)
            if event.kind == "heartbeat":
                break
    call.cancel()
    assert event.sequence == 0
    await user.cancel(job.job_id)
    assert [after.state for after in await user.events(job.job_id, event.resume_token)] == [job_pb2.JOB_STATE_CANCELLED]


async def test_a_job_deleted_while_watched(platform: Platform, hand: Hand) -> None:
    """A watcher of a job that is deleted gets a last event that says so, and the stream closes."""
    user = platform.user()
    dataset_id = await platform.dataset(user)
    job = await user.start(dataset_id)
    watcher = asyncio.create_task(user.events(job.job_id))
    await watch_until(user, job.job_id, 1)
    await platform.service("dataset").dependents.DeleteDependents(
        job_pb2.DeleteDependentsRequest(dataset_id=dataset_id, owner_id=str(user.user_id))
    )
    async with asyncio.timeout(20):
        last = (await watcher)[-1]
    assert last.state == job_pb2.JOB_STATE_CANCELLED
    assert "deleted" in last.message


async def test_wrong_tokens(platform: Platform) -> None:
    """A made-up token and another job's are refused."""
    user = platform.user()
    dataset_id = await platform.dataset(user)
    one, other = await user.start(dataset_id), await user.start(dataset_id)
    [event] = await watch_until(user, other.job_id, 1)
    for token in ("made-up", event.resume_token):
        async with refused("INVALID_REQUEST") as refusal:
            await user.events(one.job_id, token)
        assert "resume_token" in refusal.violations
