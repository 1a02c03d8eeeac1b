"""Lists: newest first, page by page, filtered; and whose is whose."""

from typing import Any

from grpc import StatusCode

from mirage.generation.v1 import job_pb2, model_pb2
from servicekit.timestamps import to_timestamp, utc_now
from tests.generation.service.hand import Hand
from tests.generation.service.platform import Client, Platform
from tests.support.errors import refused

NOBODYS = "0192f0c4-0000-7000-8000-000000000000"


async def all_jobs(user: Client, **filters: Any) -> list[str]:
    """Every page of the user's jobs, two at a time."""
    job_ids: list[str] = []
    token = ""
    while True:
        page = await user.jobs.ListJobs(job_pb2.ListJobsRequest(page_size=2, page_token=token, **filters))
        job_ids += [job.job_id for job in page.jobs]
        assert len(page.jobs) <= 2
        if not (token := page.next_page_token):
            return job_ids


async def test_pages_of_jobs(platform: Platform) -> None:
    """Pages hold every job of the caller's once, the newest first, also when new ones come in between."""
    user = platform.user()
    dataset_id = await platform.dataset(user)
    started = [(await user.start(dataset_id)).job_id for _ in range(5)]
    assert await all_jobs(user) == started[::-1]
    first = await user.jobs.ListJobs(job_pb2.ListJobsRequest(page_size=3))
    await user.start(dataset_id)
    rest = await user.jobs.ListJobs(job_pb2.ListJobsRequest(page_size=3, page_token=first.next_page_token))
    assert [job.job_id for job in [*first.jobs, *rest.jobs]] == started[::-1]


async def test_filters(platform: Platform, hand: Hand) -> None:
    """Lists can be narrowed to a state and to a dataset."""
    user = platform.user()
    one, other = await platform.dataset(user), await platform.dataset(user)
    first, second = (await user.start(one)).job_id, (await user.start(other)).job_id
    await hand.succeed(await hand.take())
    assert await all_jobs(user, state=job_pb2.JOB_STATE_SUCCEEDED) == [first]
    assert await all_jobs(user, state=job_pb2.JOB_STATE_QUEUED) == [second]
    assert await all_jobs(user, dataset_id=other) == [second]
    models = (await user.models.ListModels(model_pb2.ListModelsRequest(dataset_id=one))).models
    assert [model.job_id for model in models] == [first]
    assert not (await user.models.ListModels(model_pb2.ListModelsRequest(dataset_id=other))).models


async def test_wrong_pages(platform: Platform) -> None:
    """A negative size, a made-up token and a token of another query are refused."""
    user = platform.user()
    dataset_id = await platform.dataset(user)
    for _ in range(2):
        await user.start(dataset_id)
    async with refused("INVALID_REQUEST"):
        await user.jobs.ListJobs(job_pb2.ListJobsRequest(page_size=-1))
    async with refused("INVALID_REQUEST"):
        await user.jobs.ListJobs(job_pb2.ListJobsRequest(page_token="made-up"))
    token = (await user.jobs.ListJobs(job_pb2.ListJobsRequest(page_size=1))).next_page_token
    for wrong in (
        job_pb2.ListJobsRequest(page_token=token, state=job_pb2.JOB_STATE_FAILED),
        job_pb2.ListJobsRequest(dataset_id="nonsense"),
    ):
        async with refused("INVALID_REQUEST"):
            await user.jobs.ListJobs(wrong)
    async with refused("INVALID_REQUEST"):
        await platform.user().jobs.ListJobs(job_pb2.ListJobsRequest(page_token=token))


async def test_what_is_somebody_elses_is_unknown(platform: Platform, hand: Hand) -> None:
    """Nothing of a job or a model can be seen, fetched or changed by another user, an administrator neither."""
    owner = platform.user()
    job = await owner.start(await platform.dataset(owner))
    await hand.succeed(await hand.take())
    done = await owner.get(job.job_id)
    for stranger in (platform.user(), platform.administrator()):
        for job_id in (job.job_id, NOBODYS, "nonsense"):
            for call, message in (
                (stranger.jobs.GetJob, job_pb2.GetJobRequest(job_id=job_id)),
                (stranger.jobs.CancelJob, job_pb2.CancelJobRequest(job_id=job_id, purge=True)),
                (stranger.jobs.GetTableDownloadUrl, job_pb2.GetTableDownloadUrlRequest(job_id=job_id)),
                (stranger.jobs.GetJobMetadata, job_pb2.GetJobMetadataRequest(job_id=job_id)),
            ):
                async with refused("JOB_NOT_FOUND", StatusCode.NOT_FOUND):
                    await call(message)
            async with refused("JOB_NOT_FOUND"):
                await stranger.events(job_id)
            async with refused("JOB_NOT_FOUND"):
                await stranger.download(job_id)
        for model_id in (done.model_id, NOBODYS, "nonsense"):
            async with refused("MODEL_NOT_FOUND", StatusCode.NOT_FOUND):
                await stranger.models.GetModel(model_pb2.GetModelRequest(model_id=model_id))
            async with refused("MODEL_NOT_FOUND"):
                await stranger.models.DeleteModel(model_pb2.DeleteModelRequest(model_id=model_id))
            async with refused("MODEL_NOT_FOUND"):
                _ = [
                    body async for body in stranger.models.SampleModel(model_pb2.SampleModelRequest(model_id=model_id))
                ]
        assert not (await stranger.jobs.ListJobs(job_pb2.ListJobsRequest())).jobs
        assert not (await stranger.models.ListModels(model_pb2.ListModelsRequest())).models
    assert await owner.get(job.job_id) == done


async def test_administrators_see_every_job(platform: Platform) -> None:
    """An administrator lists everybody's jobs, by user, by state and since a time; a user may not."""
    one, other, administrator = platform.user(), platform.user(), platform.administrator()
    first = await one.start(await platform.dataset(one))
    between = to_timestamp(utc_now())
    second = await other.start(await platform.dataset(other))

    async def listed(**filters: Any) -> list[str]:
        answer = await administrator.administration.ListAllJobs(job_pb2.ListAllJobsRequest(**filters))
        return [job.job_id for job in answer.jobs]

    assert await listed() == [second.job_id, first.job_id]
    assert await listed(user_id=str(one.user_id)) == [first.job_id]
    assert await listed(since=between) == [second.job_id]
    assert await listed(state=job_pb2.JOB_STATE_TRAINING) == []
    page = await administrator.administration.ListAllJobs(job_pb2.ListAllJobsRequest(page_size=1))
    assert await listed(page_token=page.next_page_token) == [first.job_id]
    async with refused("PERMISSION_DENIED"):
        await one.administration.ListAllJobs(job_pb2.ListAllJobsRequest())
