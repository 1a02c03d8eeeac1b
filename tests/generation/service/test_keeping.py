"""What is kept, and for how long: tables and models by age, and no more than a user may have."""

from sqlalchemy import text

from deploy.local.object_store import EmbeddedObjectStore
from mirage.generation.v1 import job_pb2, model_pb2
from services.generation import housekeeping
from tests.generation.service.hand import Hand, a_hand
from tests.generation.service.platform import Platform, open_platform
from tests.generation.service.search import Search
from tests.support.errors import refused
from tests.support.postgres import PostgresForTests
from tests.support.tokens import Tokens


async def test_tables_and_models_expire(platform: Platform, hand: Hand) -> None:
    """What is older than the days that it is kept goes with its objects; the job stays and says so; newer ones stay."""
    user = platform.user()
    dataset_id = await platform.dataset(user)
    old, new = [(await user.start(dataset_id)).job_id for _ in range(2)]
    for _ in range(2):
        await hand.succeed(await hand.take())
    async with platform.database.sessions.begin() as session:
        for statement in (
            "UPDATE jobs SET ended_at = ended_at - interval '8 days' WHERE id = :job",
            "UPDATE models SET created_at = created_at - interval '8 days' WHERE job_id = :job",
        ):
            await session.execute(text(statement), {"job": old})
    before = await platform.objects(user)
    for days in (0, 9):
        await housekeeping.tidy(platform.database.sessions, hand.dispatcher, platform.store, days)
        assert await platform.objects(user) == before
    await housekeeping.tidy(platform.database.sessions, hand.dispatcher, platform.store, 7)
    assert len(await platform.objects(user)) == len(before) - 2
    async with refused("TABLE_EXPIRED"):
        await user.download(old)
    expired = await user.get(old)
    assert (expired.state, expired.model_id) == (job_pb2.JOB_STATE_SUCCEEDED, "")
    [model] = (await user.models.ListModels(model_pb2.ListModelsRequest())).models
    assert model.job_id == new
    assert (await user.download(new))[0]


async def test_models_of_a_long_search(platform: Platform, hand: Hand) -> None:
    """A trial's model outlives the days that models are kept, while its search goes on; kept, it is new."""
    user = platform.user()
    search = Search(platform, user, await platform.dataset(user))
    await search.start()
    await hand.succeed(await hand.take())
    async with platform.database.sessions.begin() as session:
        await session.execute(text("UPDATE models SET created_at = created_at - interval '8 days'"))
    await housekeeping.tidy(platform.database.sessions, hand.dispatcher, platform.store, 7)
    kept = (await search.keep()).job.model_id
    await housekeeping.tidy(platform.database.sessions, hand.dispatcher, platform.store, 7)
    [model] = (await user.models.ListModels(model_pb2.ListModelsRequest())).models
    assert model.model_id == kept


async def test_a_full_quota(postgres: PostgresForTests, object_store: EmbeddedObjectStore, tokens: Tokens) -> None:
    """Who has used up the quota, with datasets, tables and models together, starts no job until some are deleted."""
    async with open_platform(postgres, object_store, tokens, storage_quota_mb=1) as platform, a_hand(platform) as hand:
        user = platform.user()
        dataset_id = await platform.dataset(user)
        configuration = await user.jobs.GetConfiguration(job_pb2.GetConfigurationRequest())
        assert (configuration.storage_quota_mb, configuration.retention_days) == (1, 0)
        first = await user.start(dataset_id)
        await hand.succeed(await hand.take())
        async with platform.database.sessions.begin() as session:
            await session.execute(
                text("UPDATE models SET object_bytes = 1048576 WHERE job_id = :job"), {"job": first.job_id}
            )
        async with refused("STORAGE_QUOTA_EXCEEDED") as refusal:
            await user.start(dataset_id)
        assert int(refusal.metadata["used_bytes"]) > 1048576
        await user.jobs.CancelJob(job_pb2.CancelJobRequest(job_id=first.job_id, purge=True))
        model_id = (await user.models.ListModels(model_pb2.ListModelsRequest())).models[0].model_id
        await user.models.DeleteModel(model_pb2.DeleteModelRequest(model_id=model_id))
        assert await user.start(dataset_id)
