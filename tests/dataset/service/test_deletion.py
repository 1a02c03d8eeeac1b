"""Deleting a dataset, with what hangs on it or not at all."""

import asyncio
from uuid import UUID

import pytest
from grpc import StatusCode

from tests.dataset.service.platform import Client, Platform
from tests.support.errors import refused

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_nothing_is_left(platform: Platform, user: Client) -> None:
    """A deleted dataset is gone with its versions, their objects and their events; a second time there is none."""
    dataset = await user.upload()
    await user.add_version(dataset.dataset_id)
    assert len(await platform.objects(user)) == 4
    await user.delete(dataset.dataset_id)
    assert await platform.nothing_left(user)
    assert await platform.count("dataset_events", "dataset_id = :id", id=UUID(dataset.dataset_id)) == 0
    async with refused("DATASET_NOT_FOUND"):
        await user.delete(dataset.dataset_id)


async def test_what_hangs_on_it(platform: Platform, user: Client) -> None:
    """Jobs, models and studies that hang on a dataset are told in numbers, and go along only with cascade."""
    dataset = await user.upload()
    platform.dependents.hang(user.user_id, dataset.dataset_id, jobs=3, models=2, studies=1)
    async with refused("DATASET_IN_USE", StatusCode.FAILED_PRECONDITION) as refusal:
        await user.delete(dataset.dataset_id)
    told = {name: refusal.metadata[name] for name in ("jobs", "models", "studies")}
    assert told == {"jobs": "3", "models": "2", "studies": "1"}
    assert await user.get(dataset.dataset_id) == dataset
    deleted = await user.delete(dataset.dataset_id, cascade=True)
    assert (deleted.deleted_jobs, deleted.deleted_models, deleted.deleted_studies) == (3, 2, 1)
    assert not platform.dependents.left(user.user_id, dataset.dataset_id)
    assert await platform.nothing_left(user)


async def test_twice_at_once(platform: Platform, user: Client) -> None:
    """Two deletions at once delete it once; the other finds none."""
    dataset = await user.upload()
    answers = await asyncio.gather(*(user.delete(dataset.dataset_id) for _ in range(2)), return_exceptions=True)
    assert sum(isinstance(answer, Exception) for answer in answers) <= 1
    assert await platform.nothing_left(user)
