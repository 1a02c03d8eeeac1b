"""Approval, where it is switched on."""

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
