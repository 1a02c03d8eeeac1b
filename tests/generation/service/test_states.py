"""The state machine: every step that there is, and none that there isn't."""

import itertools

import pytest
from grpc import StatusCode
from sqlalchemy import select, update

from mirage.generation.v1 import job_pb2, model_pb2
from servicekit.attending import Superseded
from services.generation.dispatch import Dispatcher
from services.generation.engines.protocol import Stage
from services.generation.errors import IllegalTransition
from services.generation.models import Job, JobEvent
from services.generation.states import ALLOWED, AT_WORK, ENDED, STAGES, JobState
from services.generation.transitions import move
from tests.generation.service.hand import Hand
from tests.generation.service.platform import Platform
from tests.support.errors import refused


def test_the_states_are_those_of_the_contract() -> None:
    """Every state of the contract is in the machine, has words for it, and ends where nothing follows."""
    names = {value.name.removeprefix("JOB_STATE_") for value in job_pb2.JobState.DESCRIPTOR.values}
    assert {state.name for state in JobState} == names - {"UNSPECIFIED"}
    assert set(ALLOWED) == set(STAGES) == set(JobState)
    assert {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.REJECTED} == ENDED
    assert all(JobState.CANCELLED in ALLOWED[state] for state in set(JobState) - ENDED)
    assert all({JobState.QUEUED, JobState.FAILED} <= ALLOWED[state] for state in AT_WORK)


async def test_every_pair_of_states(platform: Platform) -> None:
    """Each step of the machine changes the job and adds one event; each other pair is refused and changes nothing."""
    user = platform.user()
    job_id = (await user.start(await platform.dataset(user))).job_id
    dispatcher = Dispatcher(5)
    for present, wanted in itertools.product(JobState, JobState):
        async with platform.database.sessions.begin() as session:
            await session.execute(update(Job).where(Job.id == job_id).values(state=present, queue_id=None))
        async with platform.database.sessions() as session:
            job = await session.get_one(Job, job_id)
            before = job.last_seq
            if wanted in ALLOWED[present]:
                await move(session, dispatcher, job, wanted)
                assert (job.state, job.last_seq > before) == (wanted, True)
            else:
                with pytest.raises(IllegalTransition) as caught:
                    await move(session, dispatcher, job, wanted)
                assert caught.value.reason == f"ILLEGAL_TRANSITION_{present.name}_TO_{wanted.name}"
                assert caught.value.code is StatusCode.FAILED_PRECONDITION
                assert (job.state, job.last_seq) == (present, before)
            await session.rollback()


async def test_a_whole_life(platform: Platform, hand: Hand) -> None:
    """A job goes through every state in order; its events are numbered without gaps and only the last is the last."""
    user = platform.user()
    job = await user.start(await platform.dataset(user))
    attempt = await hand.take()
    await hand.report(attempt, Stage.TRAINING, epoch=1, epochs=2, losses={"loss": 0.5}, fraction=0.4, seconds_left=3.5)
    await hand.report(attempt, Stage.TRAINING, epoch=2, epochs=2, losses={"loss": 0.25}, fraction=0.8)
    await hand.report(attempt, Stage.SAMPLING, rows_sampled=5, rows=10, fraction=0.9)
    await hand.succeed(attempt)
    events = await user.events(job.job_id)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    states = [job_pb2.JobState.Name(state) for state, _ in itertools.groupby(event.state for event in events)]
    assert [name.removeprefix("JOB_STATE_") for name in states] == [
        "QUEUED",
        "PREPARING",
        "TRAINING",
        "SAMPLING",
        "EVALUATING",
        "SUCCEEDED",
    ]
    training = [event for event in events if event.state == job_pb2.JOB_STATE_TRAINING]
    assert [(event.kind, event.epoch, event.losses["loss"]) for event in training] == [
        ("state", 1, 0.5),
        ("progress", 2, 0.25),
    ]
    assert (training[0].progress, training[0].seconds_left) == (0.4, 3.5)
    done = await user.get(job.job_id)
    assert (done.progress, done.attempts, done.rows_sampled, done.epoch) == (1.0, 1, 10, 2)
    assert done.model_id
    assert done.table_sha256
    assert done.create_time.ToDatetime() <= done.start_time.ToDatetime() <= done.end_time.ToDatetime()


async def test_failure_is_told(platform: Platform, hand: Hand) -> None:
    """A job that fails says why: code, reason for programs, text for people."""
    user = platform.user()
    job = await user.start(await platform.dataset(user))
    await hand.fail(await hand.take())
    failed = await user.ended(job.job_id)
    assert failed.state == job_pb2.JOB_STATE_FAILED
    assert (failed.error.code, failed.error.message) == (StatusCode.INTERNAL.value[0], "It didn't work.")
    assert b"TRAINING_CRASHED" in failed.error.details[0].value
    async with refused("TABLE_NOT_READY", StatusCode.FAILED_PRECONDITION):
        await user.download(job.job_id)


async def test_cancelling(platform: Platform, hand: Hand) -> None:
    """Cancelling twice is cancelling once; what has ended stays as it is; a worker that comes late finds nothing."""
    user = platform.user()
    dataset_id = await platform.dataset(user)
    job = await user.start(dataset_id)
    cancelled = await user.cancel(job.job_id)
    assert cancelled.state == job_pb2.JOB_STATE_CANCELLED
    assert await user.cancel(job.job_id) == cancelled
    [row] = await hand.rows_waiting()
    assert await hand.claim(row) is None
    done = await user.start(dataset_id)
    await hand.succeed(await hand.take())
    assert (await user.cancel(done.job_id)).state == job_pb2.JOB_STATE_SUCCEEDED


async def test_purging(platform: Platform, hand: Hand) -> None:
    """Purging deletes the job with its table's object; its model stays and knows where it came from."""
    user = platform.user()
    job = await user.start(await platform.dataset(user))
    await hand.succeed(await hand.take())
    done = await user.get(job.job_id)
    assert len(await platform.objects(user)) == 2
    await user.cancel(job.job_id, purge=True)
    async with refused("JOB_NOT_FOUND", StatusCode.NOT_FOUND):
        await user.get(job.job_id)
    assert await platform.objects(user) == {f"{user.user_id}/{job.job_id}/1/model.zip"}
    models = (await user.models.ListModels(model_pb2.ListModelsRequest())).models
    assert [(model.model_id, model.job_id) for model in models] == [(done.model_id, job.job_id)]
    async with platform.database.sessions() as session:
        assert (await session.scalars(select(JobEvent))).all() == []


async def test_purging_a_job_at_work(platform: Platform, hand: Hand) -> None:
    """Purging a job that a worker has cancels and deletes it; the worker's next word finds it gone."""
    user = platform.user()
    job = await user.start(await platform.dataset(user))
    attempt = await hand.take()
    assert (await user.cancel(job.job_id, purge=True)).state == job_pb2.JOB_STATE_CANCELLED
    with pytest.raises(Superseded):
        await hand.report(attempt, Stage.TRAINING)
    async with refused("JOB_NOT_FOUND"):
        await user.get(job.job_id)
