"""Who may be worked on: five jobs of a user at a time, the oldest first, whoever asks at once, whatever is lost."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import func, select, text

from mirage.generation.v1 import job_pb2
from servicekit.attending import Superseded
from services.generation import housekeeping
from services.generation.attempts import Attempt
from services.generation.engines.protocol import Stage
from services.generation.models import Job
from tests.generation.service.hand import UNJUDGED, Hand, a_hand
from tests.generation.service.platform import Client, Platform, until


async def dispatched(platform: Platform, user: Client) -> list[str]:
    """The user's jobs that have a row in the queue, the oldest first."""
    query = select(Job.id).where(Job.owner_id == user.user_id, Job.queue_id.is_not(None)).order_by(Job.id)
    async with platform.database.sessions() as session:
        return [str(job_id) for job_id in await session.scalars(query)]


async def rows_in_queue(platform: Platform) -> int:
    """Rows of the queue."""
    async with platform.database.sessions() as session:
        return await session.scalar(select(func.count()).select_from(text("pgqueuer"))) or 0


async def test_five_of_a_user(platform: Platform, hand: Hand) -> None:
    """Of seven jobs five are dispatched; each that ends, well, badly or cancelled, lets the oldest waiting one in."""
    user, other = platform.user(), platform.user()
    dataset_id = await platform.dataset(user)
    job_ids = [(await user.start(dataset_id)).job_id for _ in range(8)]
    assert await dispatched(platform, user) == job_ids[:5]
    assert "your other jobs" in (await user.get(job_ids[5])).stage
    first, second = await hand.take(), await hand.take()
    assert [str(first.job_id), str(second.job_id)] == job_ids[:2]
    await hand.succeed(first)
    assert await dispatched(platform, user) == job_ids[1:6]
    await hand.fail(second)
    assert await dispatched(platform, user) == job_ids[2:7]
    await user.cancel(job_ids[4])
    assert await dispatched(platform, user) == [*job_ids[2:4], *job_ids[5:8]]
    assert (await user.get(job_ids[7])).stage == "Waiting for a worker"
    foreign = await other.start(await platform.dataset(other))
    assert await dispatched(platform, other) == [foreign.job_id], "somebody else's jobs don't count"


async def test_waiting_jobs_can_be_cancelled(platform: Platform) -> None:
    """A job that waits for its turn and is cancelled never gets one."""
    user = platform.user()
    dataset_id = await platform.dataset(user)
    job_ids = [(await user.start(dataset_id)).job_id for _ in range(7)]
    await user.cancel(job_ids[5])
    await user.cancel(job_ids[0], purge=True)
    assert await dispatched(platform, user) == [*job_ids[1:5], job_ids[6]]


async def test_starts_and_ends_at_once(platform: Platform) -> None:
    """However starts, ends and cancellations fall together, never more than five are dispatched, and none is left."""
    user = platform.user()
    dataset_id = await platform.dataset(user)
    most = 0

    async def start_some() -> None:
        for _ in range(6):
            await user.start(dataset_id)

    async def work_some(hand: Hand) -> None:
        nonlocal most
        while not (done.is_set() and not await rows_in_queue(platform)):
            most = max(most, len(await dispatched(platform, user)))
            rows = await hand.rows_waiting()
            for row in rows:
                job = await hand.claim(row)
                if job is not None:
                    hand.rows[job.id] = row
                    attempt = Attempt(job.id, job.attempts)
                    await hand.report(attempt, Stage.SAMPLING)
                    await (hand.fail(attempt) if job.id.int % 2 else hand.succeed(attempt))
            await asyncio.sleep(0)

    done = asyncio.Event()
    async with a_hand(platform) as one, a_hand(platform) as another, asyncio.timeout(60):
        workers = asyncio.gather(work_some(one), work_some(another))
        await asyncio.gather(*(start_some() for _ in range(4)))
        done.set()
        await workers
    listed = (await user.jobs.ListJobs(job_pb2.ListJobsRequest(page_size=200))).jobs
    assert len(listed) == 24
    assert {job.state for job in listed} <= {job_pb2.JOB_STATE_SUCCEEDED, job_pb2.JOB_STATE_FAILED}
    assert all(job.attempts == 1 for job in listed), "nothing was done twice"
    assert 1 <= most <= 5
    assert await dispatched(platform, user) == []


async def test_no_two_workers_get_one_job(platform: Platform) -> None:
    """Workers that ask at once get different jobs, and each job has one worker."""
    users = [platform.user() for _ in range(3)]
    for user in users:
        dataset_id = await platform.dataset(user)
        for _ in range(4):
            await user.start(dataset_id)
    async with a_hand(platform) as one, a_hand(platform) as another:
        taken = await asyncio.gather(one.rows_waiting(6), another.rows_waiting(6))
    ids = [row.id for rows in taken for row in rows]
    assert len(ids) == len(set(ids)) == 12


async def test_a_lost_worker(platform: Platform) -> None:
    """A silent worker's job goes to another: history shows it, attempts are counted, the first one's words aren't."""
    user = platform.user()
    job = await user.start(await platform.dataset(user))
    async with a_hand(platform) as lost, a_hand(platform, heartbeat_s=0.05) as other:
        first = await lost.take()
        await lost.report(first, Stage.TRAINING, epoch=3, epochs=10, fraction=0.3)
        [row] = await until(other.rows_waiting)
        taken = await other.claim(row)
        assert taken is not None
        second = Attempt(taken.id, taken.attempts)
        other.rows[taken.id] = row
        assert (second.number, taken.progress, taken.epoch) == (2, 0.0, 0)
        with pytest.raises(Superseded):
            await lost.report(first, Stage.SAMPLING)
        with pytest.raises(Superseded):
            await lost.succeed(first)
        # The lost one, back again, takes its row out of the queue: it isn't its own any more.
        await lost._release(first)
        assert await rows_in_queue(platform) == 1
        await other.succeed(second)
    assert await rows_in_queue(platform) == 0
    events = await user.events(job.job_id)
    messages = [event.message for event in events if event.message]
    assert messages[:2] == ["The worker was lost; another starts over", "Attempt 2"]
    assert messages[2:] == [f"The table's quality couldn't be measured: {UNJUDGED.problem}"]
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    done = await user.get(job.job_id)
    assert (done.state, done.attempts) == (job_pb2.JOB_STATE_SUCCEEDED, 2)
    assert await platform.objects(user) == {
        f"{user.user_id}/{job.job_id}/2/{name}" for name in ("synthetic.parquet", "model.zip")
    }


async def test_a_job_that_kills_its_workers(platform: Platform) -> None:
    """A job that has cost three workers their life fails instead of taking a fourth."""
    user = platform.user()
    job = await user.start(await platform.dataset(user))
    async with a_hand(platform, heartbeat_s=0.0) as hand:
        [row] = await hand.rows_waiting()
        for expected in (True, True, True, False):
            assert (await hand.claim(row) is not None) is expected
    failed = await user.ended(job.job_id)
    assert (failed.state, failed.attempts) == (job_pb2.JOB_STATE_FAILED, 3)
    assert b"WORKER_LOST" in failed.error.details[0].value


async def test_giving_back(platform: Platform, hand: Hand) -> None:
    """A job that a stopping worker gives back starts over before those that were never begun; it isn't counted lost."""
    user = platform.user()
    dataset_id = await platform.dataset(user)
    begun = (await user.start(dataset_id)).job_id
    await user.start(dataset_id)
    attempt = await hand.take()
    await hand.report(attempt, Stage.TRAINING, epoch=5, epochs=10, fraction=0.5)
    await hand.give_back(attempt)
    waiting = await user.get(begun)
    assert (waiting.state, waiting.progress, waiting.epoch) == (job_pb2.JOB_STATE_QUEUED, 0.0, 0)
    again = await hand.take()
    assert (str(again.job_id), again.number) == (begun, 2)
    async with platform.database.sessions() as session:
        assert (await session.get_one(Job, again.job_id)).workers_lost == 0
    with pytest.raises(Superseded):
        await hand.report(attempt, Stage.TRAINING)


async def test_what_the_queue_lost_is_found_again(platform: Platform, hand: Hand) -> None:
    """Jobs whose row of the queue is gone, and jobs that wait though there is room, are put right."""
    user = platform.user()
    dataset_id = await platform.dataset(user)
    at_work, dispatched_only, stuck = [(await user.start(dataset_id)).job_id for _ in range(3)]
    assert str((await hand.take()).job_id) == at_work
    async with platform.database.sessions.begin() as session:
        await session.execute(text("DELETE FROM pgqueuer"))
        await session.execute(text("UPDATE jobs SET queue_id = NULL WHERE id = :id"), {"id": UUID(stuck)})
    await housekeeping.tidy(platform.database.sessions, hand.dispatcher, platform.store)
    assert len(await dispatched(platform, user)) == await rows_in_queue(platform) == 3
    assert (await user.get(at_work)).state == job_pb2.JOB_STATE_QUEUED
    taken = [await hand.take() for _ in range(3)]
    assert {str(attempt.job_id) for attempt in taken} == {at_work, dispatched_only, stuck}


async def test_uploads_that_came_to_nothing_are_removed(platform: Platform, hand: Hand) -> None:
    """What a worker uploaded for a job that was cancelled meanwhile is removed when it is due, and not before."""
    user = platform.user()
    job = await user.start(await platform.dataset(user))
    attempt = await hand.take()
    await hand.report(attempt, Stage.SAMPLING)
    key = f"{user.user_id}/{job.job_id}/1/synthetic.parquet"
    await platform.store.put_bytes(key, b"too late")
    async with platform.database.sessions.begin() as session:
        await session.execute(
            text("INSERT INTO loose_objects (key, due_at) VALUES (:key, now() + interval '1 day')"), {"key": key}
        )
    await user.cancel(job.job_id)
    with pytest.raises(Superseded):
        await hand.succeed(attempt)
    await housekeeping.tidy(platform.database.sessions, hand.dispatcher, platform.store)
    assert await platform.objects(user) == {key}
    async with platform.database.sessions.begin() as session:
        await session.execute(text("UPDATE loose_objects SET due_at = now()"))
    await housekeeping.tidy(platform.database.sessions, hand.dispatcher, platform.store)
    assert await platform.objects(user) == set()
