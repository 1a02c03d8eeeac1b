"""What is a user's: told in an export, gone with the account, uploads on their way as well."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from google.api.httpbody_pb2 import HttpBody
from sqlalchemy import text

from mirage.dataset.v1 import dataset_pb2 as pb
from tests.dataset.service.platform import CSV, Client, Platform, until
from tests.support.errors import refused
from tests.support.holdings import Holdings
from tests.support.traces import traces

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_nothing_is_left(platform: Platform, user: Client) -> None:
    """Datasets, public ones too, go with versions and objects; an upload on its way comes to nothing; others' stay."""
    other = platform.user()
    first = await user.upload(name="public", visibility="public", metadata=(("idempotency-key", "k"),))
    await user.add_version(first.dataset_id, CSV + b"61,x,1.5,2020-01-01,true\n", wait=False)
    kept = await other.upload()
    sending = asyncio.Event()

    async def requests() -> AsyncIterator[pb.UploadDatasetRequest]:
        yield pb.UploadDatasetRequest(name="late", body=HttpBody(content_type="text/csv", data=CSV))
        await sending.wait()
        yield pb.UploadDatasetRequest(body=HttpBody(data=b"x"))

    call = user.start_upload(requests())
    await until(lambda: platform.marks(user))
    holdings = Holdings(platform.channel, platform.tokens)
    assert await holdings.delete_all(user.user_id) >= 2
    sending.set()
    async with refused("ACCOUNT_DELETED"):
        await call
    await holdings.delete_all(user.user_id)
    assert await platform.nothing_left(user)
    async with platform.database.sessions.begin() as session:  # nobody delivers here
        await session.execute(text("DELETE FROM outbox"))
    assert await traces(platform.database.dsn, [str(user.user_id), first.dataset_id]) == []
    assert await holdings.delete(user.user_id) == (0, 0)
    assert (await other.get(kept.dataset_id)).dataset_id == kept.dataset_id
    async with refused("DATASET_NOT_FOUND"):
        await other.get(first.dataset_id)
    async with refused("ACCOUNT_DELETED"):
        await user.upload()


async def test_an_export(platform: Platform, user: Client) -> None:
    """It has every dataset, every version with its profile and where its table is, and nothing of others."""
    await platform.user().upload(visibility="public")
    mine = await user.upload(name="mine", description="Some people")
    await user.add_version(mine.dataset_id)
    told = await Holdings(platform.channel, platform.tokens).export(user.user_id)
    assert [(each["name"], each["description"]) for each in told["datasets"]] == [("mine", "Some people")]
    assert [each["version"] for each in told["versions"]] == [2, 1]
    for version in told["versions"]:
        assert version["profile"]["columns"]
        assert version["download"].startswith(f"/datasets/{mine.dataset_id}/export?version={version['version']}")
    assert {event["dataset_id"] for event in told["events"]} == {mine.dataset_id}
