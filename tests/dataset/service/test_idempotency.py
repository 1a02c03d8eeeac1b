"""Trying an upload again: a key makes it safe to repeat."""

import asyncio

import pytest

from tests.dataset.service.platform import CSV, Platform, form
from tests.support.errors import refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = (("idempotency-key", "a-key"),)
OTHER_CSV = CSV.replace(b"Graz", b"Linz")


async def test_the_same_key_makes_one_dataset(platform: Platform) -> None:
    """The same upload under the same key makes one dataset, however often and however much at once it comes."""
    user = platform.user()
    answers = await asyncio.gather(*(user.upload(metadata=KEY) for _ in range(4)))
    answers.append(await user.upload(metadata=KEY))
    assert len({dataset.dataset_id for dataset in answers}) == 1
    assert all(dataset.row_count == 60 for dataset in answers)
    assert len((await user.list_datasets()).datasets) == 1
    assert len(await platform.objects(user)) == 2


async def test_a_key_is_for_one_upload_of_one_caller(platform: Platform) -> None:
    """Another file or name under the same key is refused; another caller's same key is another key."""
    user, other = platform.user(), platform.user()
    first = await user.upload(metadata=KEY)
    for again in (user.upload(OTHER_CSV, metadata=KEY), user.upload(name="others", metadata=KEY)):
        async with refused("IDEMPOTENCY_KEY_REUSED"):
            await again
    assert (await other.upload(OTHER_CSV, metadata=KEY)).dataset_id != first.dataset_id
    async with refused("INVALID_REQUEST") as refusal:
        await user.upload(metadata=(("idempotency-key", "k" * 201),))
    assert "idempotency-key" in refusal.violations


async def test_a_refused_upload_leaves_its_key_free(platform: Platform) -> None:
    """An upload that was wrong can be put right under the same key; a deleted dataset's key is free again."""
    user = platform.user()
    async with refused("DATASET_UNREADABLE"):
        await user.upload(b'[{"a": ', metadata=KEY)
    dataset = await user.upload(metadata=KEY)
    await user.delete(dataset.dataset_id)
    assert (await user.upload(OTHER_CSV, metadata=KEY)).dataset_id != dataset.dataset_id


async def test_versions_and_forms(platform: Platform) -> None:
    """Keys hold for new versions and for forms as well; one for a dataset isn't one for a version."""
    user = platform.user()
    parts = form([("file", CSV, "people.csv")])
    dataset = await user.upload_form(parts, pieces=4096, metadata=KEY)
    assert (await user.upload_form(parts, pieces=512, metadata=KEY)).dataset_id == dataset.dataset_id
    async with refused("IDEMPOTENCY_KEY_REUSED"):
        await user.add_version(dataset.dataset_id, metadata=KEY)
    another = (("idempotency-key", "another"),)
    versions = [await user.add_version(dataset.dataset_id, OTHER_CSV, metadata=another) for _ in range(2)]
    assert [version.version for version in versions] == [2, 2]
