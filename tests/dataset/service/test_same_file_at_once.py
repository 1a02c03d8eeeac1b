"""The same file, several times at once."""

import asyncio

import pytest

from tests.dataset.service.platform import CSV, Platform

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_without_a_key(platform: Platform) -> None:
    """Each upload is a dataset of its own, with its own objects; deleting one leaves the other whole."""
    user = platform.user()
    one, other = await asyncio.gather(user.upload(), user.upload())
    assert one.dataset_id != other.dataset_id
    assert one.source_sha256 == other.source_sha256
    await user.delete(one.dataset_id)
    assert (await user.export(other.dataset_id))[0] == CSV


async def test_as_versions(platform: Platform) -> None:
    """Versions uploaded at once are numbered one after another, none lost."""
    user = platform.user()
    dataset = await user.upload()
    versions = await asyncio.gather(*(user.add_version(dataset.dataset_id) for _ in range(2)))
    assert sorted(version.version for version in versions) == [2, 3]
    assert (await user.get(dataset.dataset_id)).latest_version == 3
