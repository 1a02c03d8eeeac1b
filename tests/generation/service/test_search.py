"""Jobs whose parameters are searched for first: ordered, followed, told and put to use, whatever happens meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from grpc import StatusCode
from sqlalchemy import func, select, text

from deploy.local.object_store import EmbeddedObjectStore
from mirage.generation.v1 import job_pb2
from mirage.optimizer.v1 import study_pb2
from servicekit.errors import Violation
from servicekit.structs import from_struct, to_struct
from services.generation import dispatch, housekeeping, jobs, repository
from services.generation.dispatch import Dispatcher
from services.generation.states import JobState
from services.generation.transitions import move
from tests.generation.service.hand import Hand, a_hand
from tests.generation.service.peers import StudyPeer, serving_studies
from tests.generation.service.platform import Client, Platform, open_platform, request, until
from tests.support.errors import refused
from tests.support.postgres import PostgresForTests
from tests.support.tokens import Tokens

SEARCH = {"enabled": True, "method": "random", "n_trials": 4, "search_space": {"epochs": [10, 40]}}
TVAE = {"model_type": "tvae", "batch_size": 50}
OPTIMIZING = job_pb2.JOB_STATE_OPTIMIZING


@pytest.fixture
def studies() -> StudyPeer:
    """The optimizer's part."""
    return StudyPeer()


@pytest.fixture
async def platform(
    postgres: PostgresForTests, object_store: EmbeddedObjectStore, tokens: Tokens, studies: StudyPeer
) -> AsyncIterator[Platform]:
    """A running service that has an optimizer."""
    async with (
        serving_studies(studies, tokens) as address,
        open_platform(
            postgres, object_store, tokens, stream_heartbeat_seconds=1.0, optimizer_address=address
        ) as opened,
    ):
        yield opened


@pytest.fixture
async def hand(platform: Platform) -> AsyncIterator[Hand]:
    """A worker's hand."""
    async with a_hand(platform) as opened:
        yield opened


async def searched(platform: Platform, user: Client, studies: StudyPeer, **fields: Any) -> job_pb2.Job:
    """A job whose study was ordered."""
    dataset_id = await platform.dataset(user)
    given = {"model_config": TVAE, "optimization_config": SEARCH, "seed": 7, **fields}
    job = await user.start(dataset_id, **given)

    async def known() -> str:
        return (await user.get(job.job_id)).study_id

    await until(known)
    return await user.get(job.job_id)


async def rows(platform: Platform, entrypoint: str) -> int:
    """Rows of the queue."""
    query = select(func.count()).select_from(text("pgqueuer")).where(text("entrypoint = :name"))
    async with platform.database.sessions() as session:
        return await session.scalar(query, {"name": entrypoint}) or 0


def best(number: int, score: float, **parameters: Any) -> study_pb2.StudyTrial:
    """A trial."""
    return study_pb2.StudyTrial(number=number, score=score, parameters=to_struct(parameters))


async def end(studies: StudyPeer, job_id: str, state: Any, trial: study_pb2.StudyTrial | None = None) -> None:
    """Ends a job's study."""
    study = studies.studies[job_id].study
    study.trials_ended = 4
    if trial is not None:
        study.best_trial.CopyFrom(trial)
    await studies.tell(job_id, "state", state=state, trials_ended=4, best_number=trial.number if trial else 0)


async def test_a_job_with_a_search(platform: Platform, hand: Hand, studies: StudyPeer) -> None:
    """The search is told in the job's own stream and takes no worker; then the job trains with the best and says so."""
    user = platform.user()
    job = await searched(platform, user, studies)
    assert (job.state, await rows(platform, "generate")) == (OPTIMIZING, 0)
    assert "All of it is searched." in job.adjustments
    study = studies.studies[job.job_id]
    assert (study.request.optimization_method, study.request.n_trials, study.request.random_state) == ("random", 4, 7)
    assert (study.request.model_type, from_struct(study.request.model_config)) == ("tvae", {"batch_size": 50})
    assert from_struct(study.request.search_space) == {"epochs": [10, 40]}
    await studies.tell(job.job_id, "trial_started", trial=best(1, 0))
    await studies.tell(job.job_id, "epoch", trial=best(1, 0))
    await studies.tell(job.job_id, "trial_ended", trial=best(1, 0.5), trials_ended=1)
    await studies.tell(job.job_id, "best", trial=best(1, 0.5), trials_ended=1, best_number=1, best_score=0.5)
    await end(studies, job.job_id, study_pb2.STUDY_STATE_SUCCEEDED, best(3, 0.75, epochs=20))
    attempt = await hand.take_when_there()
    await hand.succeed(attempt)
    events = await user.events(job.job_id)
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    told = [event for event in events if event.state == OPTIMIZING and event.search.study_id]
    assert [event.search.trials_ended for event in told] == [0, 0, 1, 1, 4]
    assert told[-2].search.best_score == 0.5
    assert "best so far is 0.5000" in told[-2].stage
    assert any("trial 3 was the best of 4, with 0.7500" in event.message for event in events)
    done = await user.get(job.job_id)
    assert done.state == job_pb2.JOB_STATE_SUCCEEDED
    assert (done.study_id, done.epochs) == (study.study.study_id, 20)
    parameters = from_struct(done.model_config)
    assert (parameters["epochs"], parameters["batch_size"]) == (20, 50)
    metadata = await user.jobs.GetJobMetadata(job_pb2.GetJobMetadataRequest(job_id=job.job_id))
    document = from_struct(metadata.metadata)
    assert document["study_id"] == done.study_id
    assert (document["search"]["best_trial"], document["search"]["best_score"]) == (3, 0.75)


@pytest.mark.parametrize("state", [study_pb2.STUDY_STATE_STOPPED, study_pb2.STUDY_STATE_FAILED])
async def test_a_search_that_breaks_off(platform: Platform, hand: Hand, studies: StudyPeer, state: Any) -> None:
    """A search that is stopped, or fails, leaves the best so far; without one the job fails with the reason."""
    user = platform.user()
    lucky, unlucky = [await searched(platform, user, studies) for _ in range(2)]
    for job in (lucky, unlucky):
        studies.studies[job.job_id].study.error.message = "The space is cursed."
    await end(studies, lucky.job_id, state, best(2, 0.5, epochs=11))
    await end(studies, unlucky.job_id, state)
    attempt = await hand.take_when_there()
    assert str(attempt.job_id) == lucky.job_id
    assert from_struct((await user.get(lucky.job_id)).model_config)["epochs"] == 11
    failed = await user.ended(unlucky.job_id)
    assert failed.state == job_pb2.JOB_STATE_FAILED
    assert b"SEARCH_FOUND_NOTHING" in failed.error.details[0].value
    reason = "was stopped before" if state == study_pb2.STUDY_STATE_STOPPED else "The space is cursed."
    assert reason in failed.error.message


@pytest.mark.parametrize(
    ("fixed", "found", "rates"),
    [
        ({"generator_lr": 0.001}, {"learning_rate": 0.005}, (0.005, 0.005)),
        ({"learning_rate": 0.001}, {"generator_lr": 0.005}, (0.005, 2e-4)),
    ],
)
async def test_rates_that_were_searched(
    platform: Platform,
    studies: StudyPeer,
    fixed: dict[str, float],
    found: dict[str, float],
    rates: tuple[float, float],
) -> None:
    """The job trains as the best trial did, where one way to set a GAN's rates has replaced the other."""
    user = platform.user()
    job = await searched(platform, user, studies, model_config={"model_type": "ctgan", **fixed})
    await end(studies, job.job_id, study_pb2.STUDY_STATE_SUCCEEDED, best(2, 0.5, **found))

    async def over() -> bool:
        return (await user.get(job.job_id)).state != OPTIMIZING

    await until(over)
    done = await user.get(job.job_id)
    assert done.state == job_pb2.JOB_STATE_QUEUED, done.error.message
    parameters = from_struct(done.model_config)
    assert (parameters["generator_lr"], parameters["discriminator_lr"]) == rates
    await user.cancel(job.job_id)


async def test_no_more_searches_at_once(
    platform: Platform, studies: StudyPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One user's searches are bounded, also where they are asked for at once; each that ends makes room."""
    monkeypatch.setattr(jobs, "MOST_SEARCHES", 2)
    user = platform.user()
    dataset_id = await platform.dataset(user)
    asked = {"model_config": TVAE, "optimization_config": SEARCH}
    answers = await asyncio.gather(*(user.start(dataset_id, **asked) for _ in range(4)), return_exceptions=True)
    started = [answer for answer in answers if isinstance(answer, job_pb2.Job)]
    assert len(started) == 2
    async with refused("TOO_MANY_SEARCHES", StatusCode.RESOURCE_EXHAUSTED):
        await user.start(dataset_id, **asked)
    await user.cancel(started[0].job_id)
    await user.cancel((await user.start(dataset_id, **asked)).job_id)
    await user.cancel(started[1].job_id)


@pytest.mark.parametrize("how", ["cancel", "purge", "dataset"])
async def test_the_study_goes_with_its_job(platform: Platform, studies: StudyPeer, how: str) -> None:
    """Cancelling or deleting a job that is searched for, or its dataset, stops the study."""
    user = platform.user()
    job = await searched(platform, user, studies)
    if how == "dataset":
        await platform.service("dataset").dependents.DeleteDependents(
            job_pb2.DeleteDependentsRequest(dataset_id=job.dataset_id, owner_id=str(user.user_id))
        )
    else:
        await user.cancel(job.job_id, purge=how == "purge")
    study = studies.studies[job.job_id].study

    async def stopped() -> bool:
        return study.state == study_pb2.STUDY_STATE_STOPPED and not await rows(platform, "search")

    await until(stopped)
    assert await rows(platform, "generate") == 0


async def test_studies_are_stopped_first(platform: Platform) -> None:
    """A study that nobody wants is stopped before others are followed, however many wait for that."""
    async with platform.database.sessions() as session:  # never committed
        await dispatch.SEARCHES.enqueue(session, b"a job")
        await dispatch.enqueue_stop(session, uuid4())
        found = await session.execute(text("SELECT payload FROM pgqueuer ORDER BY priority DESC, id"))
        first = found.scalars().first()
        await session.rollback()
    assert first is not None
    assert dispatch.study_to_stop(first.decode())


async def test_a_job_cancelled_while_its_study_is_ordered(platform: Platform, studies: StudyPeer) -> None:
    """A study that came to be when its job was cancelled already is stopped, too."""
    user = platform.user()
    studies.orders_go_on.clear()
    job = await user.start(await platform.dataset(user), model_config=TVAE, optimization_config=SEARCH)
    await asyncio.wait_for(studies.asked_for_a_study.wait(), 30)
    await user.cancel(job.job_id)
    studies.orders_go_on.set()

    async def stopped() -> bool:
        study = studies.studies.get(job.job_id)
        return study is not None and study.study.state == study_pb2.STUDY_STATE_STOPPED

    await until(stopped)


async def test_a_study_that_nobody_came_to_note(platform: Platform, studies: StudyPeer) -> None:
    """A job that ends before it is noted which study it has ordered has that study stopped, by the job's own id."""
    user = platform.user()
    job = await searched(platform, user, studies)
    dispatcher = Dispatcher(5)
    async with platform.database.sessions() as session:  # never committed: whoever follows it would stop it, too
        row = await repository.lock_any_job(session, UUID(job.job_id))
        assert row is not None
        row.study_id = None
        await move(session, dispatcher, row, JobState.CANCELLED)
        payloads = (await session.execute(text("SELECT payload FROM pgqueuer"))).scalars().all()
        assert UUID(job.job_id) in {dispatch.searcher_to_stop(payload.decode()) for payload in payloads}
        await session.rollback()
    unnoted = str(uuid4())
    studies.studies[unnoted] = studies.studies[job.job_id]
    async with platform.database.sessions.begin() as session:
        await dispatch.enqueue_stop_of(session, uuid4())  # one that has ordered none
        await dispatch.enqueue_stop_of(session, UUID(unnoted))
    study = studies.studies[unnoted].study

    async def stopped() -> bool:
        return study.state == study_pb2.STUDY_STATE_STOPPED and not await rows(platform, "search")

    await until(stopped)


async def test_an_optimizer_that_is_away(platform: Platform, hand: Hand, studies: StudyPeer) -> None:
    """Where the optimizer goes away in the middle of a study the job waits, and nothing is told twice."""
    user = platform.user()
    job = await searched(platform, user, studies)
    await studies.tell(job.job_id, "trial_ended", trial=best(1, 0.5), trials_ended=1)
    await studies.leave()
    async with refused("UNAVAILABLE", StatusCode.UNAVAILABLE):
        await user.start(job.dataset_id, model_config=TVAE, optimization_config=SEARCH)
    await end(studies, job.job_id, study_pb2.STUDY_STATE_SUCCEEDED, best(1, 0.5, epochs=12))
    assert (await user.get(job.job_id)).state == OPTIMIZING
    await studies.leave(away=False)
    await hand.succeed(await hand.take_when_there())
    events = await user.events(job.job_id)
    told = [event.search.trials_ended for event in events if event.state == OPTIMIZING and event.search.study_id]
    assert told == [0, 1, 4]


async def test_another_process_takes_over(platform: Platform, hand: Hand, studies: StudyPeer) -> None:
    """A study that nobody follows any more is taken up where it was; whoever followed it before says no more."""
    user = platform.user()
    job = await searched(platform, user, studies)
    await studies.tell(job.job_id, "trial_ended", trial=best(1, 0.5), trials_ended=1)

    async def told() -> bool:
        return "1 of 4" in (await user.get(job.job_id)).stage

    await until(told)
    async with platform.database.sessions.begin() as session:
        await session.execute(text("DELETE FROM pgqueuer WHERE entrypoint = 'search'"))
    await housekeeping.tidy(platform.database.sessions, hand.dispatcher, platform.store)
    assert await rows(platform, "search") == 1
    await studies.tell(job.job_id, "trial_ended", trial=best(2, 0.5), trials_ended=2)
    await end(studies, job.job_id, study_pb2.STUDY_STATE_SUCCEEDED, best(1, 0.5, epochs=12))
    await hand.succeed(await hand.take_when_there())
    events = await user.events(job.job_id)
    told_of = [event.search.trials_ended for event in events if event.state == OPTIMIZING and event.search.study_id]
    assert told_of == [0, 1, 2, 4]
    assert await rows(platform, "generate") == 0


async def test_wrong_searches(platform: Platform, studies: StudyPeer) -> None:
    """What is wrong with the search is named together with what is wrong with the job; a validation says the same."""
    user = platform.user()
    dataset_id = await platform.dataset(user)
    studies.refusals = [Violation("optimization_config.search_space.depth", "there is no such parameter")]
    config = {**SEARCH, "n_trials": "many", "patients": 3}
    wrong = {"optimization_config": config, "sample_size": 0, "model_config": {"model_type": "tvae", "epochs": 1}}
    async with refused("INVALID_REQUEST") as refusal:
        await user.start(dataset_id, **wrong)
    assert set(refusal.violations) == {
        "optimization_config.search_space.depth",
        "optimization_config.n_trials",
        "optimization_config.patients",
        "sample_size",
        "model_config.epochs",
    }
    verdict = await user.jobs.ValidateJob(job_pb2.ValidateJobRequest(request=request(dataset_id, **wrong)))
    assert {violation.field for violation in verdict.violations} == set(refusal.violations)
    studies.refusals = []
    undecided = {"optimization_config": {"n_trials": 3}, "model_config": TVAE}
    async with refused("INVALID_REQUEST") as refusal:
        await user.start(dataset_id, **undecided)
    assert "enabled" in refusal.violations["optimization_config"]
    right = {"optimization_config": SEARCH, "model_config": TVAE}
    with_search = await user.jobs.ValidateJob(job_pb2.ValidateJobRequest(request=request(dataset_id, **right)))
    without = await user.jobs.ValidateJob(job_pb2.ValidateJobRequest(request=request(dataset_id, model_config=TVAE)))
    assert with_search.valid
    assert with_search.estimated_seconds == pytest.approx(5 * without.estimated_seconds)


async def test_approval_comes_first(
    postgres: PostgresForTests, object_store: EmbeddedObjectStore, tokens: Tokens, studies: StudyPeer
) -> None:
    """A job that needs an approval searches for nothing before it has it."""
    async with (
        serving_studies(studies, tokens) as address,
        open_platform(postgres, object_store, tokens, optimizer_address=address, require_approval=True) as platform,
    ):
        user, administrator = platform.user(), platform.administrator()
        job = await user.start(await platform.dataset(user), model_config=TVAE, optimization_config=SEARCH)
        assert job.state == job_pb2.JOB_STATE_AWAITING_APPROVAL
        assert not studies.studies
        approved = await administrator.administration.ApproveJob(job_pb2.ApproveJobRequest(job_id=job.job_id))
        assert approved.state == OPTIMIZING

        async def ordered() -> bool:
            return job.job_id in studies.studies

        await until(ordered)


async def test_without_an_optimizer(
    postgres: PostgresForTests, object_store: EmbeddedObjectStore, tokens: Tokens
) -> None:
    """A platform without an optimizer says that it can't search, and does everything else."""
    async with open_platform(postgres, object_store, tokens) as platform:
        user = platform.user()
        dataset_id = await platform.dataset(user)
        async with refused("INVALID_REQUEST") as refusal:
            await user.start(dataset_id, model_config=TVAE, optimization_config=SEARCH)
        assert "OPTIMIZER_ADDRESS" in refusal.violations["optimization_config.enabled"]
        job = await user.start(dataset_id, model_config=TVAE, optimization_config={"enabled": False})
        assert job.state == job_pb2.JOB_STATE_QUEUED
