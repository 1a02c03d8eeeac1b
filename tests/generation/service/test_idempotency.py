"""Trying again: a key makes a request safe to repeat."""

import asyncio
from typing import Any

from mirage.generation.v1 import job_pb2
from tests.generation.service.platform import Client, Platform, request
from tests.support.errors import refused

Metadata = tuple[tuple[str, str], ...]


async def _start(user: Client, dataset_id: str, metadata: Metadata, **fields: Any) -> job_pb2.Job:
    job: job_pb2.Job = await user.jobs.StartJob(request(dataset_id, **fields), metadata=metadata)
    return job


async def test_the_same_key_starts_one_job(platform: Platform) -> None:
    """The same request under the same key starts one job, however often and however much at once it comes."""
    user = platform.user()
    dataset_id = await platform.dataset(user)
    key = (("idempotency-key", "a-key"),)
    body = {"sample_size": 5}
    answers = await asyncio.gather(*(_start(user, dataset_id, key, **body) for _ in range(6)))
    assert len({job.job_id for job in answers}) == 1
    platform.sources.remove(dataset_id)
    assert (await _start(user, dataset_id, key, **body)).job_id == answers[0].job_id
    assert len((await user.jobs.ListJobs(job_pb2.ListJobsRequest())).jobs) == 1


async def test_a_key_is_for_one_request_of_one_caller(platform: Platform) -> None:
    """Another body under the same key is refused; another caller's same key is another key."""
    user, other = platform.user(), platform.user()
    dataset_id = await platform.dataset(user, public=True)
    key = (("idempotency-key", "a-key"),)
    first = await _start(user, dataset_id, key)
    async with refused("IDEMPOTENCY_KEY_REUSED"):
        await _start(user, dataset_id, key, sample_size=11)
    assert (await _start(other, dataset_id, key, sample_size=11)).job_id != first.job_id
    async with refused("INVALID_REQUEST") as refusal:
        await _start(user, dataset_id, (("idempotency-key", "k" * 201),))
    assert "idempotency-key" in refusal.violations


async def test_a_refused_request_leaves_its_key_free(platform: Platform) -> None:
    """A request that was wrong can be put right under the same key; a purged job's key is free again."""
    user = platform.user()
    dataset_id = await platform.dataset(user)
    key = (("idempotency-key", "a-key"),)
    async with refused("INVALID_REQUEST"):
        await _start(user, dataset_id, key, sample_size=-1)
    job = await _start(user, dataset_id, key, sample_size=1)
    await user.cancel(job.job_id, purge=True)
    assert (await _start(user, dataset_id, key, sample_size=2)).job_id != job.job_id
