"""Approval, where it is switched on."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from grpc import StatusCode

from deploy.local.object_store import EmbeddedObjectStore
from mirage.generation.v1 import job_pb2, model_pb2
from tests.generation.service.hand import a_hand
from tests.generation.service.platform import Platform, open_platform
from tests.generation.service.search import Search
from tests.support.errors import refused
from tests.support.postgres import PostgresForTests
from tests.support.tokens import Tokens


@pytest.fixture
async def strict(
    postgres: PostgresForTests, object_store: EmbeddedObjectStore, tokens: Tokens
) -> AsyncIterator[Platform]:
    """A service that wants every job of more than 50 rows approved."""
    changes = {"require_approval": True, "auto_approve_below_rows": 50}
    async with open_platform(postgres, object_store, tokens, **changes) as opened:
        yield opened


async def test_large_jobs_wait(strict: Platform) -> None:
    """A large job waits for an administrator, and no worker gets it before; a small one needs nobody."""
    user, administrator = strict.user(), strict.administrator()
    dataset_id = await strict.dataset(user)
    large, small = await user.start(dataset_id, sample_size=51), await user.start(dataset_id, sample_size=50)
    assert large.state == job_pb2.JOB_STATE_AWAITING_APPROVAL
    assert small.state == job_pb2.JOB_STATE_QUEUED
    async with a_hand(strict) as hand:
        assert str((await hand.take()).job_id) == small.job_id
        assert await hand.rows_waiting() == []
        approve = job_pb2.ApproveJobRequest(job_id=large.job_id, reason="Fine")
        assert (await administrator.administration.ApproveJob(approve)).state == job_pb2.JOB_STATE_QUEUED
        assert str((await hand.take()).job_id) == large.job_id
        async with refused("ILLEGAL_TRANSITION_PREPARING_TO_QUEUED", StatusCode.FAILED_PRECONDITION):
            await administrator.administration.ApproveJob(approve)


async def test_rejection(strict: Platform) -> None:
    """A rejected job ends with the reason that its owner reads; it needs one; it can't be approved any more."""
    user, administrator = strict.user(), strict.administrator()
    job = await user.start(await strict.dataset(user), sample_size=1000)
    for reason in ("", "   ", "x" * 1001):
        async with refused("INVALID_REQUEST") as refusal:
            await administrator.administration.RejectJob(job_pb2.RejectJobRequest(job_id=job.job_id, reason=reason))
        assert "reason" in refusal.violations
    await administrator.administration.RejectJob(job_pb2.RejectJobRequest(job_id=job.job_id, reason="Too large"))
    rejected = await user.ended(job.job_id)
    assert (rejected.state, rejected.error.message) == (job_pb2.JOB_STATE_REJECTED, "Too large")
    async with refused("ILLEGAL_TRANSITION_REJECTED_TO_QUEUED"):
        await administrator.administration.ApproveJob(job_pb2.ApproveJobRequest(job_id=job.job_id))
    async with refused("ILLEGAL_TRANSITION_REJECTED_TO_REJECTED"):
        await administrator.administration.RejectJob(job_pb2.RejectJobRequest(job_id=job.job_id, reason="Again"))


async def test_who_may_approve(strict: Platform) -> None:
    """Only administrators approve; a job that isn't there can't be; its owner may cancel while it waits."""
    user, administrator = strict.user(), strict.administrator()
    job = await user.start(await strict.dataset(user), sample_size=1000)
    async with refused("PERMISSION_DENIED"):
        await user.administration.ApproveJob(job_pb2.ApproveJobRequest(job_id=job.job_id))
    async with refused("JOB_NOT_FOUND"):
        await administrator.administration.ApproveJob(job_pb2.ApproveJobRequest(job_id="nonsense"))
    assert (await user.cancel(job.job_id)).state == job_pb2.JOB_STATE_CANCELLED


async def test_a_model_is_no_way_around(strict: Platform) -> None:
    """From a model nobody draws more at once than needs no approval, or was approved of its job."""
    user, administrator = strict.user(), strict.administrator()
    dataset_id = await strict.dataset(user)
    small, large = await user.start(dataset_id, sample_size=50), await user.start(dataset_id, sample_size=80)
    approve = job_pb2.ApproveJobRequest(job_id=large.job_id, reason="Fine")
    await administrator.administration.ApproveJob(approve)
    async with a_hand(strict) as hand:
        for _ in range(2):
            await hand.succeed(await hand.take())
    for job, most in ((small, 50), (large, 80)):
        model_id = (await user.get(job.job_id)).model_id
        for rows in (most + 1, None):  # nothing said is a thousand
            request = model_pb2.SampleModelRequest(model_id=model_id, n=rows)
            async with refused("SAMPLING_NEEDS_APPROVAL", StatusCode.FAILED_PRECONDITION) as refusal:
                await user.models.SampleModel(request).read()
            assert refusal.metadata == {"model_id": model_id, "maximum_rows": str(most)}
            assert f"at most {most} rows" in refusal.message


async def test_a_review_is_told(strict: Platform) -> None:
    """The owner reads in the job, and in its events, what was said; a job that nobody had to review has none."""
    user, administrator = strict.user(), strict.administrator()
    dataset_id = await strict.dataset(user)
    jobs = [await user.start(dataset_id, sample_size=1000) for _ in range(2)]
    assert not jobs[0].HasField("review")
    approve = job_pb2.ApproveJobRequest(job_id=jobs[0].job_id, reason="  Fine ")
    await administrator.administration.ApproveJob(approve)
    await administrator.administration.RejectJob(job_pb2.RejectJobRequest(job_id=jobs[1].job_id, reason="Too large"))
    for job, approved, reason in ((jobs[0], True, "Fine"), (jobs[1], False, "Too large")):
        review = (await user.get(job.job_id)).review
        assert (review.approved, review.reason) == (approved, reason)
        assert review.HasField("review_time")
    assert [event.message for event in await user.events(jobs[1].job_id)] == ["", "Too large"]
    configuration = await user.jobs.GetConfiguration(job_pb2.GetConfigurationRequest())
    assert (configuration.approval_required, configuration.rows_without_approval) == (True, 50)


async def test_two_reviews_at_once(strict: Platform) -> None:
    """Of administrators who review a job at once one is heard, whichever; what the job says is what was done."""
    user, administrator = strict.user(), strict.administrator()
    job = await user.start(await strict.dataset(user), sample_size=1000)
    approve = job_pb2.ApproveJobRequest(job_id=job.job_id, reason="Fine")
    reject = job_pb2.RejectJobRequest(job_id=job.job_id, reason="Too large")
    outcomes = await asyncio.gather(
        administrator.administration.ApproveJob(approve),
        administrator.administration.RejectJob(reject),
        administrator.administration.ApproveJob(approve),
        return_exceptions=True,
    )
    assert sum(not isinstance(outcome, BaseException) for outcome in outcomes) == 1
    reviewed = await user.get(job.job_id)
    assert reviewed.review.approved == (reviewed.state != job_pb2.JOB_STATE_REJECTED)


async def test_a_search_is_no_way_around(strict: Platform) -> None:
    """Trials run without approval, but nobody gets the model of one, from which rows could be drawn."""
    user = strict.user()
    search = Search(strict, user, await strict.dataset(user))
    await search.start()
    async with a_hand(strict) as hand:
        await hand.succeed(await hand.take())
    async with refused("MODEL_NEEDS_APPROVAL", StatusCode.FAILED_PRECONDITION):
        await search.keep()
    assert not (await user.models.ListModels(model_pb2.ListModelsRequest())).models
