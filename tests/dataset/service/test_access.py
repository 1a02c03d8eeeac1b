"""Who may do what: one's own, everybody's public ones, and nothing of anybody else's."""

from collections.abc import Awaitable
from uuid import uuid4

import pytest
from grpc import StatusCode

from tests.dataset.service.platform import Client, Platform
from tests.support.errors import refused
from tests.support.walk import walk

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _watch(client: Client, dataset_id: str) -> int:
    return len(await client.events(dataset_id))


def reads(client: Client, dataset_id: str) -> list[Awaitable[object]]:
    """Every way to read a dataset."""
    return [
        client.get(dataset_id),
        client.rows(dataset_id),
        client.profile(dataset_id),
        client.versions(dataset_id),
        client.export(dataset_id),
        client.url(dataset_id),
        _watch(client, dataset_id),
    ]


def changes(client: Client, dataset_id: str) -> list[Awaitable[object]]:
    """Every way to change a dataset."""
    return [
        client.update(dataset_id, name="mine"),
        client.add_version(dataset_id),
        client.delete(dataset_id, cascade=True),
    ]


async def test_anothers_private_dataset_does_not_exist(platform: Platform) -> None:
    """Somebody else's private dataset, one that there isn't and what is no id are refused in the same words."""
    owner, other = platform.user(), platform.user()
    dataset = await owner.upload()
    for dataset_id in (dataset.dataset_id, str(uuid4()), "no-id"):
        for call in (*reads(other, dataset_id), *changes(other, dataset_id)):
            async with refused("DATASET_NOT_FOUND", StatusCode.NOT_FOUND) as refusal:
                await call
            assert refusal.message == f"Dataset {dataset_id} does not exist."
    assert (await owner.get(dataset.dataset_id)).name == "people"


async def test_public_datasets_are_read_by_all_and_changed_by_one(platform: Platform) -> None:
    """Anybody signed in reads a public dataset; only its owner changes it."""
    owner, other = platform.user(), platform.user()
    dataset = await owner.upload(visibility="public")
    for read in reads(other, dataset.dataset_id):
        assert await read
    for change in changes(other, dataset.dataset_id):
        async with refused("NOT_THE_OWNER", StatusCode.PERMISSION_DENIED):
            await change
    assert await owner.get(dataset.dataset_id) == dataset


async def test_sources(platform: Platform) -> None:
    """Another service reads a dataset for its owner, for anybody if it is public, and for nobody else."""
    owner, other, service = platform.user(), platform.user(), platform.service("generation")
    dataset = await owner.upload()
    source = await service.source(dataset.dataset_id, owner.user_id)
    assert (source.version, source.dataset_name, source.row_count) == (1, "people", 60)
    assert list(source.columns) == list(dataset.columns)
    async with refused("DATASET_NOT_FOUND"):
        await service.source(dataset.dataset_id, other.user_id)
    async with refused("DATASET_VERSION_NOT_FOUND"):
        await service.source(dataset.dataset_id, owner.user_id, version=2)
    await owner.update(dataset.dataset_id, visibility="public")
    assert (await service.source(dataset.dataset_id, other.user_id)).table_sha256 == source.table_sha256


@pytest.mark.parametrize("name", ["nobody", "user", "administrator", "service"])
async def test_every_rpc_as(platform: Platform, name: str) -> None:
    """Every RPC lets in whom its contract names, and nobody else."""
    tokens = {
        "nobody": "",
        "user": platform.tokens.user(),
        "administrator": platform.tokens.administrator(),
        "service": platform.tokens.service("generation"),
    }

    async def token() -> str:
        return tokens[name]

    assert await walk(platform.channel, "mirage.dataset.v1", {name: token}) == []
