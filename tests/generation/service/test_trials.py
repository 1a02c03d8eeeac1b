"""Trials of searches: ordered once, in nobody's list, without rows, gone with their study or dataset."""

import pytest
from grpc import StatusCode
from sqlalchemy import select, text

from mirage.generation.v1 import job_pb2, model_pb2
from servicekit.structs import to_struct
from services.generation import housekeeping
from services.generation.engines.protocol import Stage
from services.generation.models import Job
from tests.generation.service.hand import Hand
from tests.generation.service.platform import Client, Platform, people
from tests.generation.service.search import Scored, Search
from tests.support.errors import refused


@pytest.fixture
async def user(platform: Platform) -> Client:
    """Whose search it is."""
    return platform.user()


@pytest.fixture
async def search(platform: Platform, user: Client) -> Search:
    """A search on a dataset of the user's."""
    return Search(platform, user, await platform.dataset(user))


async def models_of(user: Client) -> list[str]:
    """The models that the user sees."""
    return [model.model_id for model in (await user.models.ListModels(model_pb2.ListModelsRequest())).models]


async def test_a_trial_is_nobodys_job(platform: Platform, hand: Hand, user: Client, search: Search) -> None:
    """A trial has progress and a model that nobody sees; it is in no list, nobody can get it, and it keeps no rows."""
    started = await search.start(seed=5)
    assert await search.start(seed=6) == started, "the same number is the same trial"
    attempt = await hand.take()
    await hand.report(attempt, Stage.TRAINING, epoch=1, epochs=2, fraction=0.3)
    await hand.succeed(attempt)
    ended = await search.get()
    assert (ended.job.state, ended.job.seed, ended.job.study_id) == (
        job_pb2.JOB_STATE_SUCCEEDED,
        5,
        search.study_id,
    )
    assert [event.state for event in await search.events()][-1] == job_pb2.JOB_STATE_SUCCEEDED
    assert not (await user.jobs.ListJobs(job_pb2.ListJobsRequest())).jobs
    administrator = platform.administrator()
    everybodys = await administrator.administration.ListAllJobs(job_pb2.ListAllJobsRequest(user_id=str(user.user_id)))
    assert not everybodys.jobs
    for call in (user.get, user.cancel, user.events, user.download):
        async with refused("JOB_NOT_FOUND", StatusCode.NOT_FOUND):
            await call(ended.job.job_id)
    assert await models_of(user) == []
    async with refused("MODEL_NOT_FOUND"):
        await user.models.GetModel(model_pb2.GetModelRequest(model_id=ended.job.model_id))
    assert await platform.objects(user) == {f"{user.user_id}/{ended.job.job_id}/1/model.zip"}


async def test_keeping_the_best_model(platform: Platform, hand: Hand, user: Client, search: Search) -> None:
    """The best trial's model becomes its owner's, twice is once; the others go with their models and objects."""
    for number in (1, 2, 3, 4):
        await search.start(number)
    for _ in range(2):
        await hand.succeed(await hand.take())
    async with refused("TRIAL_HAS_NO_MODEL", StatusCode.FAILED_PRECONDITION):
        await search.keep(3)
    await hand.take()
    best = await search.keep(2)
    assert await search.keep(2) == best
    assert await models_of(user) == [best.job.model_id]
    assert await search.delete() == 3
    assert await search.delete() == 0
    assert (await search.get(2)).job.model_id == best.job.model_id
    for number in (1, 3, 4):
        async with refused("TRIAL_NOT_FOUND", StatusCode.NOT_FOUND):
            await search.get(number)
    assert await platform.objects(user) == {f"{user.user_id}/{best.job.job_id}/1/model.zip"}


async def test_cancelling_a_trial(hand: Hand, search: Search) -> None:
    """A trial that waits or is at work is called off; twice is once; one that has ended stays as it is."""
    await search.start(1)
    await search.start(2)
    at_work = await hand.take()
    cancelled = await search.cancel(1)
    assert cancelled.job.state == job_pb2.JOB_STATE_CANCELLED
    assert await search.cancel(1) == cancelled
    assert (await search.cancel(2)).job.state == job_pb2.JOB_STATE_CANCELLED
    await hand._release(at_work)
    [row] = await hand.rows_waiting()
    assert await hand.claim(row) is None
    await search.start(3)
    await hand.succeed(await hand.take())
    assert (await search.cancel(3)).job.state == job_pb2.JOB_STATE_SUCCEEDED
    async with refused("TRIAL_NOT_FOUND"):
        await search.cancel(4)


async def test_jobs_go_before_trials(platform: Platform, hand: Hand, user: Client, search: Search) -> None:
    """Trials take no job's place among its owner's five, and a worker takes them only when nobody's job waits."""
    for number in range(1, 8):
        await search.start(number)
    assert "your other trials" in (await search.get(7)).job.stage
    other = platform.user()
    mine = [await user.start(search._dataset_id) for _ in range(2)]
    foreign = await other.start(await platform.dataset(other))
    assert {job.stage for job in [*mine, foreign]} == {"Waiting for a worker"}
    taken = [await hand.take() for _ in range(4)]
    assert [str(attempt.job_id) for attempt in taken[:3]] == [mine[0].job_id, mine[1].job_id, foreign.job_id]
    assert str(taken[3].job_id) == (await search.get(1)).job.job_id
    await hand.fail(taken[3])
    assert (await search.get(6)).job.stage == "Waiting for a worker", "what has ended makes room"


async def test_storage(platform: Platform, user: Client, hand: Hand, search: Search) -> None:
    """A trial's model counts among what is stored for its owner once it is the owner's."""

    async def stored() -> float:
        usage = job_pb2.GetStorageUsageRequest(owner_id=str(user.user_id))
        answer = await platform.service("dataset").dependents.GetStorageUsage(usage)
        size: float = answer.bytes
        return size

    await search.start()
    await hand.succeed(await hand.take())
    assert await stored() == 0
    await search.keep()
    assert await stored() > 0


async def test_deleting_the_dataset(platform: Platform, hand: Hand, user: Client, search: Search) -> None:
    """Trials and their models go with the dataset, uncounted: nobody has seen them."""
    await search.start(1)
    await search.start(2)
    await hand.succeed(await hand.take())
    calls = platform.service("dataset").dependents
    names = {"dataset_id": search._dataset_id, "owner_id": str(user.user_id)}
    assert await calls.ListDependents(job_pb2.ListDependentsRequest(**names)) == job_pb2.Dependents()
    assert await calls.DeleteDependents(job_pb2.DeleteDependentsRequest(**names)) == job_pb2.Dependents()
    async with platform.database.sessions() as session:
        assert (await session.scalars(select(Job))).all() == []
    assert await platform.objects(user) == set()


async def test_abandoned_trials(platform: Platform, hand: Hand, user: Client, search: Search) -> None:
    """What a search that is gone has left behind is deleted after thirty days; a model that was kept stays."""
    kept = Search(platform, user, search._dataset_id)
    await kept.start()
    await hand.succeed(await hand.take())
    model_id = (await kept.keep()).job.model_id
    await search.start()
    await hand.succeed(await hand.take())
    await housekeeping.tidy(platform.database.sessions, hand.dispatcher, platform.store)
    assert (await search.get()).job.model_id
    async with platform.database.sessions.begin() as session:
        await session.execute(text("UPDATE jobs SET ended_at = now() - interval '31 days'"))
    await housekeeping.tidy(platform.database.sessions, hand.dispatcher, platform.store)
    async with refused("TRIAL_NOT_FOUND"):
        await search.get()
    assert await models_of(user) == [model_id]
    assert len(await platform.objects(user)) == 1


async def test_a_wrong_order(platform: Platform, user: Client, search: Search) -> None:
    """Every wrong field of a trial is named where it stands; a foreign dataset is one that isn't there."""
    async with refused("INVALID_REQUEST") as refusal:
        await search.start(model_config={"model_type": "tvae", "epochs": 0, "depth": 1}, sensitive=("age", "nothing"))
    assert set(refusal.violations) == {"job.model_config.epochs", "job.model_config.depth", "sensitive_columns.1"}
    async with refused("INVALID_REQUEST") as refusal:
        await search.start(0)
    assert "number" in refusal.violations
    stranger = Search(platform, platform.user(), search._dataset_id)
    async with refused("DATASET_NOT_FOUND"):
        await stranger.start()
    async with refused("DATASET_NOT_FOUND"):
        await stranger.describe()


async def test_what_is_to_be_scored(platform: Platform, user: Client, search: Search) -> None:
    """A search learns which models are scored while they train; what it names to be judged by must be a metric."""
    assert not (await search.describe()).scores_while_training
    autoregressive = to_struct({"model_type": "autoregressive"})
    description = await search.describe(model_config=autoregressive)
    assert description.scores_while_training
    assert list(description.model_type.scores_while_training) == ["mirage"]
    configuration = await user.jobs.GetConfiguration(job_pb2.GetConfigurationRequest())
    scoring = {each.name: list(each.scores_while_training) for each in configuration.model_types}
    assert scoring.pop("autoregressive") == ["mirage"]
    assert not any(scoring.values())
    async with refused("INVALID_REQUEST") as refusal:
        await search.start(scored=Scored((3,), ("quality_score", "beauty", "privacy.membership_auc", "quality")))
    assert set(refusal.violations) == {"score_metrics.1", "score_metrics.3"}


async def test_scores_come_with_their_epoch(platform: Platform, hand: Hand, search: Search) -> None:
    """Scores are in the event of the epoch after which they were made, and in no other."""
    await search.start()
    attempt = await hand.take()
    await hand.report(attempt, Stage.TRAINING, epoch=0, epochs=9)
    await hand.report(attempt, Stage.TRAINING, epoch=3, epochs=9, scores={"quality_score": 0.25, "privacy": 0.5})
    await hand.report(attempt, Stage.TRAINING, epoch=4, epochs=9)
    await hand.succeed(attempt)
    told = [(event.epoch, dict(event.scores)) for event in await search.events() if event.scores]
    assert told == [(3, {"quality_score": 0.25, "privacy": 0.5})]


async def test_only_services_order_trials(platform: Platform, search: Search) -> None:
    """Neither users nor administrators order, see or end trials."""
    for caller in (platform.user(), platform.administrator()):
        search._calls = caller.trials
        for call in (search.start, search.get, search.cancel, search.keep, search.delete, search.describe):
            async with refused("PERMISSION_DENIED"):
                await call()


async def test_what_cannot_be_measured(platform: Platform, user: Client) -> None:
    """A search is told which parts of the quality can't be measured on a table, and why; of a good one, nothing."""
    good = Search(platform, user, await platform.dataset(user, people(400)))
    assert not (await good.describe()).unmeasurable
    without = await good.describe(holdout_fraction=0.0)
    assert "holdout_fraction 0" in without.unmeasurable["ml_efficacy"]
    dates = (await good.describe(columns=["joined"])).unmeasurable
    assert set(dates) == {"correlation_preservation", "ml_efficacy"}
    assert "no column that a model could predict" in dates["ml_efficacy"]


async def test_describing_a_table(search: Search) -> None:
    """A search learns the rows, the target and the model's parameters; every wrong field is named at once."""
    description = await search.describe()
    assert (description.dataset_version, description.dataset_name, description.target_column) == (1, "people", "active")
    assert (description.training_rows, description.holdout_rows) == (120, 0)
    assert description.engine
    assert set(description.unmeasurable) == {"ml_efficacy", "privacy"}
    assert "it takes 200" in description.unmeasurable["privacy"]
    parameters = {parameter.name: parameter for parameter in description.model_type.parameters}
    assert (parameters["epochs"].minimum, parameters["epochs"].maximum) == (10, 500)
    async with refused("INVALID_REQUEST") as refusal:
        await search.describe(
            target_column="nothing", model_config=to_struct({"model_type": "forest"}), holdout_fraction=0.9
        )
    assert set(refusal.violations) == {"target_column", "model_config.model_type", "holdout_fraction"}
