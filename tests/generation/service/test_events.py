"""What the generation service tells the platform's log."""

from grpc import StatusCode

from mirage.generation.v1 import job_pb2, model_pb2
from tests.generation.service.hand import Hand
from tests.generation.service.platform import Platform, people
from tests.generation.service.search import Search
from tests.generation.service.test_approval import strict  # noqa: F401 - a fixture
from tests.support.errors import refused
from tests.support.outbox import attributes, kinds, told


async def test_a_job_from_start_to_end(platform: Platform, hand: Hand) -> None:
    """A job is told when it is asked for, taken up and done, with what its table came from and what proves it."""
    user = platform.user()
    dataset_id = await platform.dataset(user)
    job = await user.start(dataset_id, seed=7, conditions={"city": "Vienna"})
    await hand.succeed(await hand.take())
    created, started, succeeded = await told(platform.database, str(user.user_id))
    assert [event.kind for event in (created, started, succeeded)] == ["job.created", "job.started", "job.succeeded"]
    assert {(event.object_type, event.object_id) for event in (created, started, succeeded)} == {("job", job.job_id)}
    assert (created.actor_id, created.actor_role) == (str(user.user_id), "user")
    assert (succeeded.actor_id, succeeded.actor_role) == ("", "")
    asked = attributes(created)
    assert (asked["model_type"], asked["engine"], asked["seed"]) == ("gaussian_copula", "sdv", 7)
    assert (asked["sample_size"], asked["output_format"], asked["dataset_version"]) == (10, "csv", 1)
    assert (asked["source_rows"], asked["settings"]) == (people().num_rows, {"default_distribution": "beta"})
    assert asked["conditions"] == ["city"], "which columns, and not the values"
    assert dict(created.related) == {"dataset_id": dataset_id, "dataset_version_id": f"{dataset_id}:1"}
    made = attributes(succeeded)
    ended = await user.get(job.job_id)
    assert succeeded.related["model_id"] == ended.model_id
    assert len(made["table_sha256"]) == 64
    assert made["bytes"] > 0
    assert made["seconds_total"] >= 0


async def test_what_leaves_is_told(platform: Platform, hand: Hand) -> None:
    """Each download of a table and each rows' drawing is told, of the table's or the model's owner."""
    user = platform.user()
    job = await user.start(await platform.dataset(user))
    await hand.succeed(await hand.take())
    await user.download(job.job_id, "zip")
    await user.jobs.GetTableDownloadUrl(job_pb2.GetTableDownloadUrlRequest(job_id=job.job_id))
    before = await kinds(platform.database, str(user.user_id))
    async with refused("JOB_NOT_FOUND", StatusCode.NOT_FOUND):
        await platform.user().download(job.job_id)
    assert await kinds(platform.database, str(user.user_id)) == before
    zipped, signed = (await told(platform.database, str(user.user_id)))[3:]
    assert (zipped.kind, zipped.object_type, zipped.object_id) == ("table.downloaded", "table", job.job_id)
    assert (attributes(zipped)["format"], attributes(zipped)["way"]) == ("zip", "stream")
    assert (attributes(signed)["format"], attributes(signed)["way"]) == ("parquet", "url")
    assert zipped.related["job_id"] == job.job_id


async def test_jobs_and_models_that_go(platform: Platform, hand: Hand) -> None:
    """Cancelling and deleting are told once each; a job that fails is told with the reason."""
    user = platform.user()
    dataset_id = await platform.dataset(user)
    done, failed = await user.start(dataset_id), await user.start(dataset_id)
    await hand.succeed(await hand.take())
    await hand.fail(await hand.take())
    waiting = await user.start(dataset_id)
    for _ in range(2):
        await user.cancel(waiting.job_id)
    await user.cancel(waiting.job_id, purge=True)
    model_id = (await user.get(done.job_id)).model_id
    await user.models.DeleteModel(model_pb2.DeleteModelRequest(model_id=model_id))
    events = await told(platform.database, str(user.user_id))
    ends = [(event.kind, event.object_id) for event in events if event.kind not in {"job.created", "job.started"}]
    assert ends == [
        ("job.succeeded", done.job_id),
        ("job.failed", failed.job_id),
        ("job.cancelled", waiting.job_id),
        ("job.deleted", waiting.job_id),
        ("model.deleted", model_id),
    ]
    assert next(attributes(event)["reason"] for event in events if event.kind == "job.failed")


async def test_approvals(strict: Platform) -> None:  # noqa: F811 - the fixture
    """A job that waits for approval says so; who approves or rejects it is told, and why."""
    user, administrator = strict.user(), strict.administrator()
    dataset_id = await strict.dataset(user)
    approved, rejected = await user.start(dataset_id, sample_size=90), await user.start(dataset_id, sample_size=91)
    await administrator.administration.ApproveJob(job_pb2.ApproveJobRequest(job_id=approved.job_id, reason="Fine"))
    await administrator.administration.RejectJob(job_pb2.RejectJobRequest(job_id=rejected.job_id, reason="Too large"))
    events = await told(strict.database, str(user.user_id))
    assert [event.kind for event in events] == [
        *("job.created", "job.approval_requested") * 2,
        "job.approved",
        "job.rejected",
    ]
    assert [attributes(event)["reason"] for event in events[4:]] == ["Fine", "Too large"]
    assert {event.actor_id for event in events[4:]} == {str(administrator.user_id)}


async def test_trials_are_told_by_their_search_alone(platform: Platform, hand: Hand) -> None:
    """Nothing that happens to a trial is told, for nobody sees trials."""
    user = platform.user()
    search = Search(platform, user, await platform.dataset(user))
    await search.start()
    await hand.succeed(await hand.take())
    assert await kinds(platform.database, str(user.user_id)) == []
