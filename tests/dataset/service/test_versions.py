"""Versions: new ones beside the old, which never change."""

import pytest

from mirage.dataset.v1 import dataset_pb2 as pb
from tests.dataset.service.platform import CSV, Client, Platform
from tests.support.errors import refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

OTHER = CSV.replace(b"id,age,city,joined", b"id,age,town,joined")


async def test_a_new_version(user: Client) -> None:
    """A new version is the latest; the one before stays as it was. What differs in its columns is said."""
    dataset = await user.upload()
    version = await user.add_version(dataset.dataset_id, OTHER)
    assert (version.version, version.state, version.row_count) == (2, pb.DATASET_STATE_READY, 60)
    latest = await user.get(dataset.dataset_id)
    assert latest.latest_version == 2
    assert [column.name for column in latest.columns] == ["id", "age", "town", "joined"]
    assert any("city" in warning for warning in latest.warnings)
    assert any("town" in warning for warning in latest.warnings)
    assert (await user.export(dataset.dataset_id, version=1))[0] == CSV
    assert (await user.export(dataset.dataset_id))[0] == OTHER


async def test_a_version_that_cannot_be_read(platform: Platform, user: Client) -> None:
    """Who waited is refused and the version is gone; who didn't finds it failed, and reads the one before."""
    dataset = await user.upload()
    kept = await platform.objects(user)
    async with refused("DATASET_UNREADABLE"):
        await user.add_version(dataset.dataset_id, b'[{"a": ')
    unchanged = await user.get(dataset.dataset_id)
    assert (unchanged.latest_version, unchanged.state) == (1, pb.DATASET_STATE_READY)
    assert [version.version for version in (await user.versions(dataset.dataset_id)).versions] == [1]
    assert await platform.objects(user) == kept
    failed = await user.add_version(dataset.dataset_id, b'[{"a": ', wait=False)
    assert failed.version == 3
    await user.events(dataset.dataset_id)
    shown = await user.get(dataset.dataset_id)
    assert (shown.latest_version, shown.state) == (3, pb.DATASET_STATE_FAILED)
    assert (await user.export(dataset.dataset_id))[0] == CSV
    async with refused("DATASET_NOT_READY"):
        await user.export(dataset.dataset_id, version=3)
    async with refused("DATASET_VERSION_NOT_FOUND"):
        await user.export(dataset.dataset_id, version=2)


async def test_pages_of_versions(user: Client) -> None:
    """Versions come the newest first, page by page."""
    dataset = await user.upload()
    for _ in range(2):
        await user.add_version(dataset.dataset_id)
    first = await user.versions(dataset.dataset_id, page_size=2)
    second = await user.versions(dataset.dataset_id, page_size=2, page_token=first.next_page_token)
    assert [version.version for page in (first, second) for version in page.versions] == [3, 2, 1]
    assert not second.next_page_token


async def test_what_a_version_takes_over(user: Client) -> None:
    """Types set by hand and roles are taken over where they still hold; where they don't, that is said."""
    dataset = await user.upload()
    await user.update(dataset.dataset_id, [{"name": "age", "type": "text"}, {"name": "id", "role": "primary_key"}])
    await user.add_version(dataset.dataset_id)
    columns = {column.name: column for column in (await user.get(dataset.dataset_id)).columns}
    assert (columns["age"].type, columns["age"].inferred_type) == ("text", "integer")
    assert columns["id"].role == "primary_key"
    await user.add_version(dataset.dataset_id, CSV + CSV.partition(b"\n")[2])
    latest = await user.get(dataset.dataset_id)
    assert next(column.role for column in latest.columns if column.name == "id") == "feature"
    assert any("primary key" in warning for warning in latest.warnings)
